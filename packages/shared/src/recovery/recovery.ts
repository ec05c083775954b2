import type { BatchFiles } from '../batch/batch-files.ts';
import { openPrefix } from '../batch/batch-layout.ts';
import { createBatchStates } from '../batch/batch-states.ts';
import type { Clock } from '../clock.ts';
import { LATE_BILLING_MS } from '../credits/ledger.ts';
import type { Logger } from '../logger.ts';
import { orAborted } from '../or-aborted.ts';
import type { Redis } from '../redis/connect.ts';
import type { Generation } from '../redis/generation.ts';
import type { Store } from '../store/store.ts';
import { NewerStateError } from '../upgrade/newer-state-error.ts';
import { STATE_VERSION } from '../upgrade/state-version.ts';
import { createStoreLook } from '../upgrade/store-look.ts';
import { createUpgrade, type UpgradeDependencies } from '../upgrade/upgrade.ts';
import { rebuild } from './rebuild.ts';
import { createRebuildLocks, type RebuildLock } from './rebuild-lock.ts';

/** How often a process looks whether Redis has its mark, and how often while it waits for one. */
const WATCH_MS = 1000;
const POLL_MS = 100;
/** How often it is looked whether another process has done an upgrade; each look reads the store. */
const UPGRADED_ELSEWHERE_MS = 500;
/** A worker that is there has noticed within this time that the mark is missing, and told of its calls. */
const NOTICE_MS = 3000;

export interface RecoveryDependencies {
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Generation;
  readonly files: BatchFiles;
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `SEGMIND_TIMEOUT_MS`. */
  readonly timeoutMs: number;
  /** Milliseconds in which every process that works has noticed that the mark is missing; 3,000 if left out. */
  readonly noticeMs?: number;
  /** Of a worker: who it is, and how many things it does whose end must be in the store before it is read. */
  readonly worker?: { readonly id: string; readonly busy: () => number };
  /**
   * Told once when Redis or the store turns out to be of a newer version: this process must end. Nothing of it does
   * anything in Redis any more.
   */
  readonly onNewer?: (error: NewerStateError) => void;
  /** Whether this process has the store that the others have; one that has another must not rebuild from it. */
  readonly hasOurStore?: () => boolean;
  /** For an upgrade; see there. */
  readonly olderProcesses?: () => Promise<number>;
  readonly upgrade?: Pick<UpgradeDependencies, 'migrations' | 'onStep'> & { readonly stateVersion?: number };
}

export interface Recovery {
  /**
   * Resolves when there is a Redis with a mark and this process works with it. Where there is none, Redis was emptied or
   * is new: one process of all rebuilds it from the store, the others wait.
   * Data of an older version is upgraded first, in the same way.
   * @throws {NewerStateError} for data of a newer version. @throws what Redis or the store threw; it may be called again
   * at once.
   */
  ensure(): Promise<void>;
  /** Resolves as `ensure` does, however often that fails; or when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** Whether this process waits for a mark, or for one of its version, as far as it has noticed. */
  readonly rebuilding: boolean;
  /** What that is: an answer of Redis or of the store to the first look of this process, or a Redis that is made anew. */
  readonly waitsFor: 'redis' | 'store' | 'rebuild' | undefined;
  /** The id of the store, as renderyard.json has it; undefined until it could be read. */
  readonly storeId: string | undefined;
  /** Looks for the mark about once a second from now on, and rebuilds as `ensure` does. */
  watch(): void;
  /** Ends the watch, and a rebuild that this process makes: another takes it over. */
  stop(): Promise<void>;
}

/**
 * Notices a Redis that was emptied or replaced, or is new, and brings into it what the store holds; and one whose data
 * is of an older version, which is upgraded, or of a newer one, which is left alone.
 */
export function createRecovery(deps: RecoveryDependencies): Recovery {
  const { redis, prefix, generation, files, store, clock, logger, timeoutMs, noticeMs = NOTICE_MS, worker } = deps;
  const stateVersion = deps.upgrade?.stateVersion ?? STATE_VERSION;
  const locks = createRebuildLocks({ redis, prefix, stateVersion });
  const upgrade = createUpgrade({ ...deps, ...deps.upgrade, stateVersion });
  const stopped = new AbortController();
  let running: Promise<void> | undefined;
  let watching: Promise<void> | undefined;
  let rebuilding = generation.known === undefined;
  let foundNoMark = false;
  let toldOfFailure = false;
  let refused: NewerStateError | undefined;

  /** Tells of data of a newer version. What waits for Redis to be rebuilt goes on waiting until the process ends. */
  function refuse(error: NewerStateError): void {
    rebuilding = true;
    if (refused !== undefined || stopped.signal.aborted) return;
    refused = error;
    if (deps.onNewer === undefined) logger.fatal(error.message);
    else deps.onNewer(error);
  }
  const storeLook = createStoreLook({ upgrade, clock, logger, stopped: stopped.signal, onNewer: refuse });

  async function run(): Promise<void> {
    for (;;) {
      stopped.signal.throwIfAborted();
      const knownBefore = generation.known !== undefined;
      const found = await generation.find();
      foundNoMark = found === 'missing' || found === 'older';
      if (found === 'older') {
        rebuilding = true;
        if (!(await upgrade.run(stopped.signal))) await clock.sleep(UPGRADED_ELSEWHERE_MS, stopped.signal);
        continue;
      }
      if (found !== 'missing') {
        await storeLook.look();
        if (refused !== undefined) throw refused;
        rebuilding = false;
        if (found === 'new' && knownBefore)
          logger.error('Redis was emptied or replaced; what it held of single jobs outside of batches is gone');
        return;
      }
      rebuilding = true;
      // Who has just started has nothing in flight that a Redis that is gone had granted.
      if (worker !== undefined && knownBefore) await locks.report(worker.id, worker.busy());
      const lock = deps.hasOurStore?.() === false ? undefined : await locks.take();
      if (lock === undefined) await clock.sleep(POLL_MS, stopped.signal);
      else await rebuildUnder(lock, knownBefore);
    }
  }

  async function rebuildUnder(lock: RebuildLock, knownBefore: boolean): Promise<void> {
    const began = clock.now();
    const signal = AbortSignal.any([lock.signal, stopped.signal]);
    const work = async () => {
      await upgrade.refuseNewerStore();
      // Where nothing ran and nothing is to go on there is nothing to wait for.
      const told = (await locks.callsInFlight()).workers > 0;
      if (knownBefore || told || (await hasOpenBatches())) await untilCallsEnd(signal);
      const found = await upgrade.forRebuild(lock.token, signal);
      storeLook.found(found);
      const states = createBatchStates({ redis, prefix, generation: { current: lock.token } });
      const summary = await rebuild({ redis, prefix, files, store, logger, states }, lock, signal);
      // Others may have come to tell by now that theirs is another, and they were here before.
      if (deps.hasOurStore?.() === false || !(await lock.setMark(found.id))) return;
      const log = summary.batches + summary.left_out + summary.listed > 0 ? 'warn' : 'info';
      logger[log]({ ...summary, ms: clock.now() - began }, 'Redis had no mark and was rebuilt from the store');
    };
    try {
      // A store that does not answer keeps nobody from stopping. What still comes of it writes nothing: the lock is gone.
      await orAborted(work(), stopped.signal);
    } finally {
      await lock.release().catch(() => undefined);
    }
  }

  async function hasOpenBatches(): Promise<boolean> {
    for await (const _ of store.list(openPrefix, { limit: 1 })) return true;
    return false;
  }

  /** What calls in flight bring must be in the store before it is read, or it would be paid for again. */
  async function untilCallsEnd(signal: AbortSignal): Promise<void> {
    const began = clock.now();
    for (;;) {
      signal.throwIfAborted();
      if (worker !== undefined) await locks.report(worker.id, worker.busy());
      const { calls } = await locks.callsInFlight();
      const waited = clock.now() - began;
      if (calls === 0 && waited >= noticeMs) return;
      if (waited >= timeoutMs + LATE_BILLING_MS) {
        logger.error({ calls, ms: waited }, 'calls in flight do not end; Redis is rebuilt without them');
        return;
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  const recovery: Recovery = {
    ensure() {
      running ??= run()
        .catch((error: unknown) => {
          if (error instanceof NewerStateError) refuse(error);
          throw error;
        })
        .finally(() => {
          running = undefined;
        });
      return running;
    },
    get storeId() {
      return storeLook.id;
    },
    async ready(signal) {
      while (rebuilding && !signal.aborted) {
        // The watch tells of failures.
        await recovery.ensure().catch(() => clock.sleep(WATCH_MS, signal));
      }
    },
    get rebuilding() {
      return rebuilding;
    },
    get waitsFor() {
      if (!rebuilding || foundNoMark) return rebuilding ? 'rebuild' : undefined;
      return generation.known === undefined ? 'redis' : 'store';
    },
    watch() {
      watching ??= (async () => {
        while (!stopped.signal.aborted) {
          try {
            await recovery.ensure();
            toldOfFailure = false;
          } catch (error) {
            if (error instanceof NewerStateError) return;
            if (!toldOfFailure && !stopped.signal.aborted && rebuilding)
              logger.error(
                { err: error },
                'Redis has no mark of this version and cannot be rebuilt or upgraded yet; it is tried again',
              );
            toldOfFailure = true;
          }
          await clock.sleep(WATCH_MS, stopped.signal);
        }
      })();
    },
    async stop() {
      stopped.abort();
      await watching;
      await running?.catch(() => undefined);
      await storeLook.ended();
    },
  };
  return recovery;
}
