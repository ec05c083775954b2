import type { Redis } from '../redis/connect.ts';
import type { Generation } from '../redis/generation.ts';
import { defineScript } from '../redis/script.ts';
import type { Nanocredits } from './amount.ts';
import type { Hold, HoldName } from './hold.ts';
import { paceOf } from './pace.ts';

/** What is fixed for all calls of an installation. */
export interface CallLimits {
  /** Credits that are never spent. */
  readonly floor: Nanocredits;
  /** Calls in flight over all workers. */
  readonly slots: number;
  /** Calls in any minute over all workers. */
  readonly perMinute: number;
  /** After this long without an answer a call is given up; 30 s more, and it can no longer be billed. */
  readonly timeoutMs: number;
  /** How often a hold is tried. */
  readonly trialMs: number;
}

/** The question put to {@link Ledger.admit}. */
export interface CallRequest {
  readonly job: string;
  /** Id of the call; asking again with the same id gives the same answer. */
  readonly call: string;
  readonly worker: string;
  readonly model: string;
  readonly costClass: string;
  /** Used until a cost of the class was seen. */
  readonly estimate: Nanocredits;
}

/** What was granted. `seq` and `startedAt` go back with the reading that the call's answer brings. */
export interface Grant {
  readonly verdict: 'go';
  readonly seq: number;
  readonly estimate: Nanocredits;
  readonly startedAt: number;
}

/** The answer of {@link Ledger.admit}. */
export type Verdict =
  | Grant
  | { readonly verdict: 'wait'; readonly reason: 'slot' | 'pace' | 'drain'; readonly ms: number }
  | { readonly verdict: 'hold'; readonly name: HoldName; readonly ms: number | undefined }
  /** The balance must be asked for before anybody can say. */
  | { readonly verdict: 'probe' }
  /** The job ended, was canceled, or has a call in flight. */
  | { readonly verdict: 'gone' };

/** A call whose outcome is unknown. Times in milliseconds since 1970. */
export interface UncertainCall {
  readonly call: string;
  readonly job: string;
  readonly startedAt: number;
  /** When it was found out. */
  readonly at: number;
  /** How it broke: `lost_worker`, `timeout`, `cut`, … */
  readonly how: string;
  readonly estimate: Nanocredits;
  /** Whether a later balance already holds what it cost, so that it no longer counts against what is available. */
  readonly resolved: boolean;
}

/** The books at one moment. */
export interface CreditState {
  readonly balance: Nanocredits | undefined;
  readonly balanceReadAt: number | undefined;
  readonly reserved: Nanocredits;
  readonly uncertain: Nanocredits;
  readonly spent: Nanocredits;
  readonly inFlight: number;
  readonly holds: readonly Hold[];
  readonly uncertainCalls: readonly UncertainCall[];
  /** What a call of a class is expected to cost, learned. Keys as `costClass` makes them. */
  readonly estimates: ReadonlyMap<string, Nanocredits>;
}

/** A slot whose worker is silent for this long is free again. Renewed every third of it. */
export const LEASE_MS = 12_000;
/** Beyond its timeout, a call that upstream still renders may be billed for this long. */
export const LATE_BILLING_MS = 30_000;

const scripts = {
  admit: defineScript<
    Record<string, unknown>,
    Exclude<Verdict, Grant> | { verdict: 'go'; seq: number; estimate: number; started_at: number }
  >(new URL('admit.lua', import.meta.url)),
  renew: defineScript<Record<string, unknown>, { lost?: string[] }>(new URL('renew.lua', import.meta.url)),
  reap: defineScript<Record<string, unknown>, { lost: number }>(new URL('reap.lua', import.meta.url)),
  takeReading: defineScript<Record<string, unknown>, { released: boolean }>(
    new URL('take-reading.lua', import.meta.url),
  ),
  meetUpstream: defineScript<Record<string, unknown>, { was?: string; waiting: number }>(
    new URL('meet-upstream.lua', import.meta.url),
  ),
  unnoted: defineScript<Record<string, unknown>, { write?: [string, string][]; remove?: string[] }>(
    new URL('unnoted.lua', import.meta.url),
  ),
  noted: defineScript<Record<string, unknown>, Record<string, never>>(new URL('noted.lua', import.meta.url)),
  setHold: defineScript<Record<string, unknown>, { new: boolean }>(new URL('set-hold.lua', import.meta.url)),
};

export type Ledger = ReturnType<typeof createLedger>;

/**
 * The credits of the account and what decides whether a call may be made. Every decision is one script, so it holds
 * over all workers at once.
 */
export function createLedger({
  redis,
  prefix,
  generation,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Pick<Generation, 'current'>;
}) {
  const known = () => ({ generation: generation.current });
  return {
    /**
     * Told by each worker as it starts: the balance is doubted until it is read again. `was` is the upstream that this
     * Redis worked for before, when it is another; `waiting` are the jobs that are held because of it.
     */
    async meetUpstream(upstream: string): Promise<{ was?: string; waiting: number }> {
      return scripts.meetUpstream(redis, prefix, { ...known(), upstream });
    },

    /** Asks whether a call may be made now; on `go` its credits are reserved and its slot is leased for {@link LEASE_MS}. */
    async admit(request: CallRequest, limits: CallLimits): Promise<Verdict> {
      const answer = await scripts.admit(redis, prefix, {
        ...known(),
        job: request.job,
        call: request.call,
        worker: request.worker,
        model: request.model,
        class: request.costClass,
        estimate: request.estimate,
        floor: limits.floor,
        slots: limits.slots,
        lease_ms: LEASE_MS,
        pace: paceOf(limits.perMinute),
        trial_ms: limits.trialMs,
        resolve_ms: limits.timeoutMs + LATE_BILLING_MS,
      });
      return answer.verdict === 'go'
        ? { verdict: 'go', seq: answer.seq, estimate: answer.estimate, startedAt: answer.started_at }
        : answer.verdict === 'hold'
          ? { ...answer, ms: answer.ms }
          : answer;
    },

    /** Renews the leases of these calls. Returns those that another run of their job has taken over. */
    async renew(calls: readonly string[]): Promise<readonly string[]> {
      return (await scripts.renew(redis, prefix, { ...known(), calls, lease_ms: LEASE_MS })).lost ?? [];
    },

    /** Frees the slots of calls whose worker is gone. Returns how many there were. */
    async reap(trialMs: number): Promise<number> {
      return (await scripts.reap(redis, prefix, { ...known(), trial_ms: trialMs })).lost;
    },

    /** The state of the settlements before the balance is asked for; goes back with {@link Ledger.takeReading}. */
    async beginReading(): Promise<{ seq: number; startedAt: number }> {
      const [time, seq] = await Promise.all([redis.time(), redis.hget(`${prefix}credits`, 'seq')]);
      const [seconds, micros] = time as [number | string, number | string];
      return { seq: Number(seq ?? 0), startedAt: Number(seconds) * 1000 + Math.floor(Number(micros) / 1000) };
    },

    /**
     * Takes in what the balance call said; undefined when it answered without a usable balance. The hold for credits
     * ends when what is left reaches `resume` and allows a call of `estimate` above the floor.
     */
    async takeReading(
      value: Nanocredits | undefined,
      begun: { readonly seq: number; readonly startedAt: number },
      thresholds: { readonly floor: Nanocredits; readonly resume: Nanocredits; readonly estimate: Nanocredits },
    ): Promise<{ released: boolean }> {
      return scripts.takeReading(redis, prefix, {
        ...known(),
        value,
        seq: begun.seq,
        started_at: begun.startedAt,
        ...thresholds,
      });
    },

    /**
     * Whether asking for the balance would teach something exact now: no call is in flight, and it was never asked for,
     * is doubted, or something was settled since (`settled`), or calls are uncertain (`uncertain`).
     */
    async unread(): Promise<'settled' | 'uncertain' | undefined> {
      const [inFlight, [seq, probed, uncertain, doubt]] = await Promise.all([
        redis.zcard(`${prefix}slots`),
        redis.hmget(`${prefix}credits`, 'seq', 'probed_seq', 'uncertain', 'doubt') as Promise<(string | null)[]>,
      ]);
      if (inFlight > 0) return undefined;
      if ((seq ?? '0') !== probed || doubt !== null) return 'settled';
      return Number(uncertain ?? 0) > 0 ? 'uncertain' : undefined;
    },

    /**
     * Uncertain calls whose notes in the store are missing or no longer true, with the text of the note, and calls that
     * have notes and are uncertain no more; at most `most` of each. What is done about them is told to {@link Ledger.noted}.
     */
    async unnoted(most: number): Promise<{
      readonly write: readonly (readonly [call: string, text: string])[];
      readonly remove: readonly string[];
    }> {
      const { write, remove } = await scripts.unnoted(redis, prefix, { ...known(), most });
      return { write: write ?? [], remove: remove ?? [] };
    },

    async noted(
      written: readonly (readonly [call: string, text: string])[],
      removed: readonly string[],
    ): Promise<void> {
      await scripts.noted(redis, prefix, { ...known(), written, removed });
    },

    /** Sets or renews a hold. Returns whether it is new. */
    async setHold(
      name: HoldName,
      detail: string,
      lasts: { readonly forMs?: number; readonly trialMs?: number; readonly unread?: boolean } = {},
    ): Promise<boolean> {
      return (
        await scripts.setHold(redis, prefix, {
          ...known(),
          name,
          detail,
          for_ms: lasts.forMs,
          trial_ms: lasts.trialMs,
          unread: lasts.unread,
        })
      ).new;
    },

    /** Returns whether the hold stood. */
    async releaseHold(name: HoldName): Promise<boolean> {
      return (await redis.hdel(`${prefix}holds`, name)) === 1;
    },

    /** The holds that stand; those that have run out are left out. */
    async holds(now: number): Promise<readonly Hold[]> {
      return readHolds(await redis.hgetall(`${prefix}holds`), now);
    },

    /**
     * At most one process asks for the balance at a time.
     * @returns whether the turn is ours; it ends after `ms` or with {@link Ledger.endTurn}.
     */
    async takeTurn(what: string, holder: string, ms: number): Promise<boolean> {
      return (await redis.set(`${prefix}turn:${what}`, holder, 'PX', ms, 'NX')) === 'OK';
    },

    async endTurn(what: string, holder: string): Promise<void> {
      const key = `${prefix}turn:${what}`;
      if ((await redis.get(key)) === holder) await redis.del(key);
    },

    /** The books as they stand, read in one step. */
    async snapshot(now: number): Promise<CreditState> {
      const answers = await redis
        .multi()
        .hgetall(`${prefix}credits`)
        .zcard(`${prefix}slots`)
        .hgetall(`${prefix}holds`)
        .hgetall(`${prefix}uncertain`)
        .hgetall(`${prefix}estimates`)
        .exec();
      const [credits, inFlight, holds, uncertain, estimates] = (answers ?? []).map(([error, value]) => {
        if (error) throw error;
        return value;
      }) as [Record<string, string>, number, Record<string, string>, Record<string, string>, Record<string, string>];
      const number = (name: string) => (credits[name] === undefined ? undefined : Number(credits[name]));
      return {
        balance: number('balance'),
        balanceReadAt: number('read_at'),
        reserved: number('reserved') ?? 0,
        uncertain: number('uncertain') ?? 0,
        spent: number('spent') ?? 0,
        inFlight,
        holds: readHolds(holds, now),
        uncertainCalls: Object.entries(uncertain).map(([call, text]) => readUncertain(call, text)),
        estimates: new Map(Object.entries(estimates).map(([name, value]) => [name, Number(value)])),
      };
    },
  };
}

function readHolds(hash: Readonly<Record<string, string>>, now: number): readonly Hold[] {
  return Object.entries(hash)
    .map(([name, text]): Hold => {
      const hold = JSON.parse(text) as { since: number; detail: string; until?: number; trial_at?: number };
      return {
        name: name as HoldName,
        since: hold.since,
        detail: hold.detail,
        ...(hold.until === undefined ? {} : { until: hold.until }),
        ...(hold.trial_at === undefined ? {} : { trialAt: hold.trial_at }),
      };
    })
    .filter((hold) => hold.until === undefined || hold.until > now);
}

function readUncertain(call: string, text: string): UncertainCall {
  const entry = JSON.parse(text) as {
    job: string;
    started_at: number;
    at: number;
    how: string;
    estimate: number;
    resolved?: boolean;
  };
  return {
    call,
    job: entry.job,
    startedAt: entry.started_at,
    at: entry.at,
    how: entry.how,
    estimate: entry.estimate,
    resolved: entry.resolved === true,
  };
}
