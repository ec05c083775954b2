import type { Redis } from '../redis/connect.ts';
import type { Generation } from '../redis/generation.ts';
import { defineScript } from '../redis/script.ts';
import type { CallLimits, CallRequest, Grant, LimitSettings, Verdict } from './admission.ts';
import type { Nanocredits } from './amount.ts';
import type { NotedBooks } from './credit-books.ts';
import type { CreditDecision } from './credit-decision.ts';
import type { CreditEvent } from './credit-state.ts';
import type { HoldName } from './hold.ts';
import { createLedgerReads, readEvent } from './ledger-reads.ts';
import { paceOf } from './pace.ts';

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
  applyDecision: defineScript<Record<string, unknown>, Record<string, never>>(
    new URL('apply-decision.lua', import.meta.url),
  ),
  resume: defineScript<Record<string, unknown>, Record<string, never>>(new URL('resume.lua', import.meta.url)),
  untold: defineScript<
    Record<string, unknown>,
    { events?: string[][]; upstream?: 'held' | 'released'; detail?: string }
  >(new URL('untold.lua', import.meta.url)),
  unnotedBooks: defineScript<Record<string, unknown>, { days?: [number, number, string][] }>(
    new URL('unnoted-books.lua', import.meta.url),
  ),
  notedBooks: defineScript<Record<string, unknown>, Record<string, never>>(new URL('noted-books.lua', import.meta.url)),
  restoreBooks: defineScript<Record<string, unknown>, Record<string, never>>(
    new URL('restore-books.lua', import.meta.url),
  ),
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
    ...createLedgerReads({ redis, prefix }),

    /**
     * Told by each worker as it starts: the balance is doubted until it is read again. `was` is the upstream that this
     * Redis worked for before, when it is another; `waiting` are the jobs that are held because of it.
     */
    async meetUpstream(upstream: string, settings: LimitSettings): Promise<{ was?: string; waiting: number }> {
      return scripts.meetUpstream(redis, prefix, { ...known(), upstream, settings });
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

    /**
     * Frees the slots of calls whose worker is gone, and tells a Redis that does not know them the settings. Returns how
     * many calls there were.
     */
    async reap(trialMs: number, settings?: LimitSettings): Promise<number> {
      return (await scripts.reap(redis, prefix, { ...known(), trial_ms: trialMs, settings })).lost;
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
      thresholds: {
        readonly floor: Nanocredits;
        readonly resume: Nanocredits;
        readonly estimate: Nanocredits;
        /** So many calls may be billed without any word of the balance before none is believed. */
        readonly slots?: number;
      },
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
     * What asking for the balance would teach. With no call in flight, something exact: it was never asked
     * for, is doubted, or something was settled since (`settled`), or calls are uncertain (`uncertain`). With calls in
     * flight, what others have spent: nothing else tells it, for answers came without the balance (`untold`), or it may
     * be hidden (`working`). Else what others have spent, or added (`idle`).
     */
    async unread(): Promise<'settled' | 'uncertain' | 'untold' | 'working' | 'idle'> {
      const [inFlight, [seq, probed, uncertain, doubt, untold]] = await Promise.all([
        redis.zcard(`${prefix}slots`),
        redis.hmget(`${prefix}credits`, 'seq', 'probed_seq', 'uncertain', 'doubt', 'untold') as Promise<
          (string | null)[]
        >,
      ]);
      if (inFlight > 0) return untold === null ? 'working' : 'untold';
      if ((seq ?? '0') !== probed || doubt !== null) return 'settled';
      return Number(uncertain ?? 0) > 0 ? 'uncertain' : 'idle';
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

    /**
     * Puts a decision by hand into force; one that is older than the one in force changes nothing.
     */
    async applyDecision({ seq, limits, budgets, hold }: CreditDecision): Promise<void> {
      await scripts.applyDecision(redis, prefix, { ...known(), seq, limits, budgets, hold });
    },

    /**
     * Lets work go on by hand: the operator's hold ends, and the causes of the others are looked at at once. A hold for
     * credits then ends as soon as one more image is possible, whatever `CREDIT_RESUME` says.
     */
    async resume(): Promise<void> {
      await scripts.resume(redis, prefix, known());
    },

    /** Whether somebody asked that the balance be read now; said once. */
    async takeAsk(): Promise<boolean> {
      return (await redis.hdel(`${prefix}credits`, 'ask')) === 1;
    },

    /**
     * What no log has told of yet; each is given once. `events`: changes of the state of credits, oldest first.
     * `upstream`: that the hold of this name was set, or released, and what it says.
     */
    async untold(): Promise<{
      readonly events: readonly CreditEvent[];
      readonly upstream: 'held' | 'released' | undefined;
      readonly detail: string | undefined;
    }> {
      const { events = [], upstream, detail } = await scripts.untold(redis, prefix, known());
      return { events: events.map(readEvent), upstream, detail };
    },

    /** The books of days that have changed since the store was told, as the store is to have them. */
    async unnotedBooks(): Promise<
      readonly { readonly day: number; readonly changes: number; readonly text: string }[]
    > {
      const { days } = await scripts.unnotedBooks(redis, prefix, known());
      return (days ?? []).map(([day, changes, text]) => ({ day, changes, text }));
    },

    async notedBooks({ day, changes }: { readonly day: number; readonly changes: number }): Promise<void> {
      await scripts.notedBooks(redis, prefix, { ...known(), day, changes });
    },

    /** Puts the books of a day back as the store has them, where this Redis knows less. */
    async restoreBooks(books: NotedBooks): Promise<void> {
      await scripts.restoreBooks(redis, prefix, { ...known(), ...books });
    },
  };
}
