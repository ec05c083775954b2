import type { Clock } from '@renderyard/shared/clock';
import type { LimitSettings } from '@renderyard/shared/credits/admission';
import { noteBooks } from '@renderyard/shared/credits/book-notes';
import { type Hold, holdsAll } from '@renderyard/shared/credits/hold';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import { feed, repairFeed } from '@renderyard/shared/job/feed';
import { logEndedJob } from '@renderyard/shared/job/job-record';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Logger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import type { Prober } from '../credits/prober.ts';
import { tellOfCredits } from '../credits/tell-of-credits.ts';
import { noteUncertainCalls } from '../credits/uncertain-notes.ts';
import type { UpstreamKey } from '../segmind/upstream-key.ts';

export interface UpkeepDependencies {
  readonly ledger: Ledger;
  readonly jobs: JobStore;
  readonly queue: TicketQueue;
  readonly store: Store;
  readonly prober: Prober;
  readonly key: Pick<UpstreamKey, 'refresh'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly worker: string;
  readonly window: number;
  /** `CREDIT_PROBE_MS`. */
  readonly trialMs: number;
  readonly limits: LimitSettings;
  readonly retentionMs: number;
  /** Told when a round failed; the next is a second away. */
  readonly onError: (error: unknown) => Promise<void>;
  /** Told when a round worked. */
  readonly onRound: () => void;
}

const TICK_MS = 1000;
/** How often the balance is read, in milliseconds, by what it would teach; never less often than `CREDIT_PROBE_MS`. */
const EVERY_MS = { settled: 5000, untold: 2000, uncertain: Infinity, working: Infinity, idle: Infinity } as const;
/** How often a store that took no image is tried, in milliseconds. */
const STORE_PROBE_MS = 5000;
/** How often lost tickets and ended times are looked for, and how long a job may be without a ticket before it counts. */
const REPAIR_MS = 10_000;
/** How often uncertain calls and books are noted in the store. */
const NOTES_MS = 3000;

/**
 * What every worker does beside rendering, about once a second. Each step is harmless when several do it at once: it
 * is one script, or it takes turns.
 */
export function createUpkeep(deps: UpkeepDependencies) {
  const { ledger, jobs, queue, clock, worker } = deps;
  const stopped = new AbortController();
  let running: Promise<void> | undefined;

  async function tick(): Promise<void> {
    await ledger.reap(deps.trialMs, deps.limits);
    if (await ledger.takeAsk()) await deps.prober.probe({ holdIfUnread: true });
    await endHolds(await ledger.holds(clock.now()));
    await tellOfCredits(deps);
    await followHolds();
    await readBalance();
    await jobs.unpark();
    await feed(deps);
    if (await ledger.takeTurn('repair', worker, REPAIR_MS)) {
      await repairFeed({ ...deps, fedBefore: clock.now() - REPAIR_MS });
      const { expired } = await jobs.sweep(clock.now() - deps.retentionMs);
      await Promise.all(expired.map(tellExpired));
    }
    if (await ledger.takeTurn('notes', worker, NOTES_MS)) {
      await noteUncertainCalls(deps);
      await noteBooks(deps);
    }
  }

  async function tellExpired(id: string): Promise<void> {
    const job = await jobs.get(id);
    if (job?.status === 'expired') logEndedJob(job, deps.logger);
  }

  /** Looks whether the causes of holds are gone, each at its own pace. */
  async function endHolds(holds: readonly Hold[]): Promise<void> {
    const stands = (name: string) => holds.some((hold) => hold.name === name && hold.trialAt === undefined);
    // Who replaces the key, or the account with it, is not to wait for the next probe; and a trial is made with it.
    if (holds.some(({ name }) => name === 'credits' || name === 'unauthorized')) await deps.key.refresh();
    const untried = stands('unauthorized') && deps.prober.keyIsUntried;
    const asked = stands('credits') || stands('unauthorized');
    if (untried || (asked && (await ledger.takeTurn('held-probe', worker, deps.trialMs))))
      await deps.prober.probe({ holdIfUnread: true });
    if (stands('store') && (await ledger.takeTurn('held-store', worker, STORE_PROBE_MS))) {
      const works = await deps.store.check(AbortSignal.timeout(STORE_PROBE_MS)).then(
        () => true,
        () => false,
      );
      if (works && (await ledger.releaseHold('store')))
        deps.logger.info({ hold: 'store' }, 'the store can be written again');
    }
  }

  /**
   * Reads the balance when nothing is in flight: such a reading is exact, and it tells what uncertain calls have cost.
   * While work goes on it is asked for all the same, for what others spend: headers are not to be relied on.
   */
  async function readBalance(): Promise<void> {
    const due = await ledger.unread();
    const everyMs = Math.min(EVERY_MS[due], deps.trialMs);
    if (await ledger.takeTurn(`read-${due}`, worker, everyMs)) await deps.prober.probe({ holdIfUnread: false });
  }

  /** Pauses the queue while the whole account is held, so that no worker takes tickets only to put them back. */
  async function followHolds(): Promise<void> {
    const now = clock.now();
    const keepsAll = (hold: Hold) => holdsAll(hold.name) && hold.name !== 'rate' && (hold.trialAt ?? Infinity) > now;
    const held = (await ledger.holds(now)).some(keepsAll);
    if (held !== (await queue.isPaused())) await (held ? queue.pause() : queue.resume());
  }

  async function loop(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await tick();
        deps.onRound();
      } catch (error) {
        await deps.onError(error);
      }
      await clock.sleep(TICK_MS * (0.75 + Math.random() / 2), stopped.signal);
    }
  }

  return {
    start() {
      running = loop();
    },
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
