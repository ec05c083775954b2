import type { Clock } from '../clock.ts';
import type { Check } from '../health/readiness.ts';
import type { Logger } from '../logger.ts';
import { orAborted } from '../or-aborted.ts';
import type { Redis } from '../redis/connect.ts';
import { defineScript } from '../redis/script.ts';
import { type Disagreement, findDifferences, findDisagreements } from './disagreement.ts';
import type { Agreed, RosterEntry, RosterProcess } from './roster-entry.ts';

/** How often a process tells that it is there, and after how long a silent one is forgotten. */
const BEAT_MS = 5000;
const FORGET_MS = 15_000;
/** A process that goes waits no longer than this to tell so. */
const LEAVE_MS = 500;
/** How often it is looked again, while this process waits until it knows its store, or agrees with the others. */
const WAIT_MS = 1000;

interface BeatAnswer {
  readonly since: number;
  readonly processes?: readonly RosterProcess[];
  readonly store?: string;
}

const beatScript = defineScript<Record<string, unknown>, BeatAnswer>(new URL('beat.lua', import.meta.url));

/** What is the matter, for people; {@link Disagreement} without who it is. */
const MATTERS: Readonly<Record<Agreed, string>> = {
  store: 'The store is another than that of',
  SECRET_KEY: 'SECRET_KEY is another than that of',
  WEBHOOK_SECRET: 'WEBHOOK_SECRET is another than that of',
};

export type Roster = ReturnType<typeof createRoster>;

/**
 * Who works on this Redis: every API and worker tells of itself every five seconds, and sees whether it has the same
 * store and secrets as the others, and the store that the work in Redis belongs to.
 */
export function createRoster({
  redis,
  prefix,
  id,
  entry,
  clock,
  logger,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly id: string;
  /** What there is to tell now: the store's id is known a moment after the start. */
  readonly entry: () => RosterEntry;
  readonly clock: Clock;
  readonly logger: Logger;
}) {
  const stopped = new AbortController();
  /** Since when this process is there, by Redis's clock; told again to a Redis that was emptied. */
  let since: number | undefined;
  /** Kept a while also when Redis knows them no more: it may have been emptied, and they come again. */
  const others = new Map<string, { readonly process: RosterProcess; readonly seenAt: number }>();
  const told = new Set<string>();
  /** The store that the work in Redis belongs to. */
  let storeOfRedis: string | undefined;
  let beating: Promise<void> | undefined;

  async function beat(): Promise<readonly RosterProcess[]> {
    const answer = await beatScript(redis, prefix, { id, entry: entry(), since, forget_ms: FORGET_MS });
    since = answer.since;
    // One that was emptied is rebuilt from the same store, not from that of a process which was refused.
    storeOfRedis = answer.store ?? storeOfRedis;
    const now = clock.now();
    const processes = answer.processes ?? [];
    for (const process of processes) if (process.id !== id) others.set(process.id, { process, seenAt: now });
    for (const [other, { seenAt }] of others) if (now - seenAt > FORGET_MS) others.delete(other);
    tell();
    return processes;
  }

  const own = (): RosterProcess => ({ id, since: since ?? Infinity, entry: entry() });
  const seen = () => [...others.values()].map(({ process }) => process);
  const disagreements = () => findDisagreements(own(), seen(), storeOfRedis);

  /** Each matter once. */
  function tell(): void {
    const once = (key: string, write: () => void) => {
      if (told.has(key)) return;
      told.add(key);
      write();
    };
    const who = ({ id: process, entry: { host, pid, service } }: RosterProcess) => ({
      other: { process, service, host, pid },
    });
    for (const each of disagreements()) {
      const other = each.with;
      if (other === 'Redis')
        once(`Redis ${storeOfRedis}`, () =>
          logger.error({ store: entry().agreed.store, store_of_redis: storeOfRedis }, describe(each)),
        );
      else once(`${each.setting} ${other.id}`, () => logger.error(who(other), describe(each)));
    }
    for (const { setting, value, theirs, with: other } of findDifferences(own(), seen()))
      once(`${setting} ${theirs}`, () =>
        logger.warn({ setting, value, theirs, ...who(other) }, 'a setting differs from that of another worker'),
      );
  }

  async function loop(): Promise<void> {
    while (!stopped.signal.aborted) {
      await orAborted(beat(), stopped.signal).catch(() => undefined);
      // Until its store is known, others cannot tell that theirs is another.
      const waits = disagreements().length > 0 || entry().agreed.store === undefined;
      await clock.sleep(waits ? WAIT_MS : BEAT_MS, stopped.signal);
    }
  }

  return {
    /** Tells of this process from now on. Resolves when it has heard who else is there, or Redis is away. */
    async start(): Promise<void> {
      await beat().catch(() => undefined);
      beating ??= loop();
    },

    disagreesOn: (...settings: readonly Agreed[]): boolean =>
      disagreements().some(({ setting }) => settings.includes(setting)),

    /**
     * Resolves when this process has the same of these as the others, or the signal aborts. One that does not know its own
     * yet, as while its store does not answer, waits if another or Redis knows: it may turn out to be a different one.
     */
    async agreedOn(settings: readonly Agreed[], signal: AbortSignal): Promise<void> {
      if (!signal.aborted) await orAborted(beat(), signal).catch(() => undefined);
      const agreed = (setting: Agreed) =>
        entry().agreed[setting] === undefined
          ? !seen().some((other) => other.entry.agreed[setting] !== undefined) &&
            (setting !== 'store' || storeOfRedis === undefined)
          : disagreements().every((each) => each.setting !== setting);
      while (!signal.aborted && !settings.every(agreed)) await clock.sleep(WAIT_MS, signal);
    },

    /**
     * Whether nobody who is there, nor Redis, knows of another store than the one of this id; undefined is one that has none
     * yet. For what must be stored before more is known.
     */
    hasNoOtherStoreThan: (id: string | undefined): boolean =>
      [storeOfRedis, ...seen().map((other) => other.entry.agreed.store)].every(
        (known) => known === undefined || known === id,
      ),

    /** Whether this process has what the others have, for its readiness. */
    check(): Check {
      const found = disagreements();
      return {
        name: 'settings',
        ok: found.length === 0,
        detail:
          found.length === 0
            ? 'The store and the secrets are those of the other processes.'
            : found.map(describe).join(' '),
      };
    },

    /** How many processes there are now that work with data of an older version. @throws what Redis throws. */
    async olderThan(state: number): Promise<number> {
      return (await beat()).filter((process) => process.entry.state < state).length;
    },

    /** Tells that this process goes. Never rejects. */
    async stop(): Promise<void> {
      stopped.abort();
      await beating;
      if (since === undefined) return;
      const told = beatScript(redis, prefix, { id, forget_ms: FORGET_MS, leaves: true });
      await orAborted(told, AbortSignal.timeout(LEAVE_MS)).catch(() => undefined);
    },
  };
}

function describe({ setting, with: other }: Disagreement): string {
  if (other === 'Redis')
    return 'Redis belongs to another store. Start with that store again, or with a copy of all of it; docs/operations.md says how to go over to another.';
  const { id, entry } = other;
  return `${MATTERS[setting]} the ${entry.service} ${id}, which has been here longer. Give all processes the same, and start this one again.`;
}
