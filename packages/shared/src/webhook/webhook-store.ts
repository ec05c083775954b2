import type { Redis } from '../redis/connect.ts';
import type { Generation } from '../redis/generation.ts';
import { defineScript } from '../redis/script.ts';
import { type AttemptRecord, type Delivery, type DeliveryStatus, type NewDelivery, readDelivery } from './delivery.ts';
import { readOwed } from './owed.ts';

type Args = Record<string, unknown>;
const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  make: defineScript<Args, { made: number; full: number; known: number }>(here('make-deliveries.lua')),
  take: defineScript<
    Args,
    {
      deliveries?: {
        delivery: Record<string, string>;
        lease: number;
        url: string;
        secrets?: string;
        failing?: boolean;
      }[];
      next_at?: number;
    }
  >(here('take-deliveries.lua')),
  record: defineScript<Args, { status: DeliveryStatus | 'gone'; late?: boolean; disabled?: 'gone' | 'failing' }>(
    here('record-attempt.lua'),
  ),
  replay: defineScript<Args, { replayed?: string[] }>(here('replay-deliveries.lua')),
  sweep: defineScript<Args, { forgotten: number }>(here('sweep-deliveries.lua')),
  apply: defineScript<Args, { applied: boolean; deleted?: string[] }>(here('apply-endpoints.lua')),
  end: defineScript<Args, { ended: number }>(here('end-deliveries.lua')),
  askCatchUp: defineScript<Args, Record<string, never>>(here('ask-catch-up.lua')),
  takeCatchUp: defineScript<Args, { task?: CatchUp }>(here('take-catch-up.lua')),
  keepCatchUp: defineScript<Args, { room: boolean }>(here('keep-catch-up.lua')),
};

/** An endpoint that fails for so long is disabled, in milliseconds: five days. */
export const MOST_FAILING_MS = 432_000_000;
/** Deliveries ended or forgotten by one script. */
const AT_ONCE = 500;

/** An endpoint as Redis is to know it. */
export interface KnownEndpoint {
  readonly id: string;
  readonly url: string;
  /** As `eventsField` makes it. */
  readonly events: string;
  readonly state: 'enabled' | 'disabled';
  readonly reason?: string;
  /** Milliseconds since 1970. */
  readonly disabledAt?: number;
  /** Sealed secrets, as JSON. */
  readonly secrets: string;
}

/** How it goes with a receiver. Times are milliseconds since 1970. */
export interface ReceiverState {
  readonly state: 'enabled' | 'disabled' | undefined;
  readonly reason: string | undefined;
  readonly disabledAt: number | undefined;
  /** It disabled itself, and the store does not know yet. */
  readonly undecided: boolean;
  readonly failingSince: number | undefined;
  /** From here on something was not kept for it, and has not been read again. */
  readonly missedSince: number | undefined;
  readonly lastSuccessAt: number | undefined;
  readonly lastFailureAt: number | undefined;
  /** Deliveries that wait for it. */
  readonly waiting: number;
}

/** A delivery that this process is to send, until the lease runs out. */
export interface TakenDelivery {
  readonly delivery: Delivery;
  readonly lease: number;
  readonly url: string;
  /** Of an endpoint: its sealed secrets, as JSON. */
  readonly secrets: string | undefined;
  /** The last attempt to reach its receiver failed. */
  readonly failing: boolean;
}

/** A receiver that is to catch up on events: those from one time until another, in milliseconds since 1970. */
export interface CatchUp {
  readonly receiver: string;
  readonly account: string;
  readonly from: number;
  readonly until: number;
  /** How far it is, as it was kept. */
  readonly cursor?: string;
  /** What an endpoint hears, as `eventsField` makes it. */
  readonly events?: string;
}

export type WebhookStore = ReturnType<typeof createWebhookStore>;

/** Deliveries and their receivers in Redis. Every method that changes something throws `GenerationLostError`. */
export function createWebhookStore({
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
     * Makes deliveries of one event, each once, and with them takes the event from the outbox.
     * @param waitMs before the first attempt
     * @returns how many were made; `full` found no place or no enabled endpoint, which is noted with the receiver.
     */
    async make(
      deliveries: readonly NewDelivery[],
      { entry, waitMs }: { readonly entry?: string; readonly waitMs?: number } = {},
    ): Promise<{ readonly made: number; readonly full: number; readonly known: number }> {
      return scripts.make(redis, prefix, {
        ...known(),
        entry,
        wait_ms: waitMs,
        deliveries: deliveries.length === 0 ? undefined : deliveries.map(snake),
      });
    },

    /** Takes deliveries that are due, at most `most`, of these at most `failingMost` for receivers that fail. */
    async take(options: { readonly most: number; readonly failingMost: number; readonly leaseMs: number }): Promise<{
      readonly taken: readonly TakenDelivery[];
      /**
       * When the next is due, in milliseconds since 1970; undefined if none waits. Where receivers that fail have their
       * share, theirs do not count.
       */
      readonly nextAt: number | undefined;
    }> {
      const { deliveries, next_at } = await scripts.take(redis, prefix, {
        ...known(),
        most: options.most,
        failing_most: options.failingMost,
        lease_ms: options.leaseMs,
      });
      const taken: TakenDelivery[] = [];
      for (const { delivery: hash, lease, url, secrets, failing } of deliveries ?? []) {
        const delivery = readDelivery(hash);
        if (delivery !== undefined) taken.push({ delivery, lease, url, secrets, failing: failing ?? false });
      }
      return { taken, nextAt: next_at };
    },

    /**
     * Ends an attempt.
     * @param waitMs until the next attempt; undefined after the last
     */
    async record(end: {
      readonly id: string;
      readonly lease: number;
      readonly attempt: AttemptRecord;
      readonly verdict: 'ok' | 'failed' | 'gone';
      readonly waitMs: number | undefined;
    }): Promise<{
      readonly status: DeliveryStatus | 'gone';
      readonly late: boolean;
      readonly disabled: 'gone' | 'failing' | undefined;
    }> {
      const { status, late, disabled } = await scripts.record(redis, prefix, {
        ...known(),
        id: end.id,
        lease: end.lease,
        attempt: end.attempt,
        verdict: end.verdict,
        wait_ms: end.waitMs,
        failing_ms: MOST_FAILING_MS,
      });
      return { status, late: late ?? false, disabled };
    },

    /** Sends deliveries of an account again, at most 500. @returns those that are sent again. */
    async replay(account: string, ids: readonly string[]): Promise<readonly string[]> {
      if (ids.length === 0) return [];
      return (await scripts.replay(redis, prefix, { ...known(), account, ids })).replayed ?? [];
    },

    async get(id: string): Promise<Delivery | undefined> {
      return readDelivery(await redis.hgetall(`${prefix}dlv:${id}`));
    },

    /** An account's deliveries, the newest first; `after` is the id of the last one already seen. */
    async list(
      account: string,
      options: {
        readonly status?: DeliveryStatus | undefined;
        readonly receiver?: string | undefined;
        readonly after?: string | undefined;
        readonly limit: number;
      },
    ): Promise<readonly Delivery[]> {
      const list = options.receiver !== undefined ? `to:${options.receiver}` : account;
      const key = `${prefix}dlvs:${list}${options.receiver === undefined && options.status ? `:${options.status}` : ''}`;
      const found: Delivery[] = [];
      for (let after = options.after; found.length < options.limit; ) {
        const from = after === undefined ? '+' : `(${after}`;
        const ids = await redis.zrange(key, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, options.limit);
        const read = await Promise.all(ids.map((id) => redis.hgetall(`${prefix}dlv:${id}`)));
        for (const hash of read) {
          const delivery = readDelivery(hash);
          const fits = delivery?.account === account && (options.status ?? delivery.status) === delivery.status;
          if (delivery !== undefined && fits && found.length < options.limit) found.push(delivery);
        }
        after = ids.at(-1);
        if (after === undefined) break;
      }
      return found;
    },

    /** Ids of an account's failed deliveries of events from a time on, oldest first. */
    async failedSince(
      account: string,
      options: { readonly from: string; readonly limit: number },
    ): Promise<readonly string[]> {
      const key = `${prefix}dlvs:${account}:failed`;
      return redis.zrange(key, options.from, '+', 'BYLEX', 'LIMIT', 0, options.limit);
    },

    /** Forgets deliveries that were made before a time, in milliseconds since 1970. */
    async sweep(before: number): Promise<number> {
      return (await scripts.sweep(redis, prefix, { ...known(), before, most: AT_ONCE })).forgotten;
    },

    /**
     * Puts a decision about an account's endpoints into force, unless a later one is, and ends what waits for those that
     * are no longer there.
     */
    async applyEndpoints(decision: {
      readonly account: string;
      readonly seq: number;
      readonly at: number;
      readonly endpoints: readonly KnownEndpoint[];
    }): Promise<boolean> {
      const { applied, deleted } = await scripts.apply(redis, prefix, {
        ...known(),
        account: decision.account,
        seq: decision.seq,
        at: decision.at,
        endpoints: decision.endpoints.length === 0 ? undefined : decision.endpoints.map(snakeEndpoint),
      });
      for (const receiver of deleted ?? []) {
        while ((await scripts.end(redis, prefix, { ...known(), receiver, most: AT_ONCE })).ended === AT_ONCE);
      }
      return applied;
    },

    /** The `seq` of the decision about an account's endpoints that is in force; 0 where there is none. */
    async appliedSeq(account: string): Promise<number> {
      return Number((await redis.hget(`${prefix}endpoints:${account}`, 'seq')) ?? 0);
    },

    /** Has what ended since a time (milliseconds since 1970) read again for a receiver. */
    async requestCatchUp(receiver: string, account: string, since: number): Promise<void> {
      await scripts.askCatchUp(redis, prefix, { ...known(), receiver, account, since });
    },

    /** Takes a receiver that is to catch up, for `leaseMs`; undefined when there is none that has room. */
    async takeCatchUp(leaseMs: number): Promise<CatchUp | undefined> {
      return (await scripts.takeCatchUp(redis, prefix, { ...known(), lease_ms: leaseMs })).task;
    },

    /**
     * Says how far a receiver is, or without a cursor that it has caught up.
     * @param leaseMs the lease from now; undefined ends it
     * @returns whether there is room for more
     */
    async keepCatchUp(receiver: string, cursor: string | undefined, leaseMs: number | undefined): Promise<boolean> {
      return (await scripts.keepCatchUp(redis, prefix, { ...known(), receiver, cursor, lease_ms: leaseMs })).room;
    },

    /** Who is owed something now; see {@link readOwed}. */
    owed: () => readOwed({ redis, prefix }),

    async receiver(id: string): Promise<ReceiverState> {
      const [hash, waiting, catchingUp] = await Promise.all([
        redis.hgetall(`${prefix}hook:${id}`),
        redis.zcard(`${prefix}dq:${id}`),
        redis.hget(`${prefix}catch-up:${id}`, 'from'),
      ]);
      const time = (name: string) => (hash[name] === undefined ? undefined : Number(hash[name]));
      const from = catchingUp === null ? undefined : Number(catchingUp);
      const missed = [time('missed_since'), time('catch_up'), from].filter((at) => at !== undefined);
      return {
        state: hash.state as ReceiverState['state'],
        reason: hash.reason,
        disabledAt: time('disabled_at'),
        undecided: hash.undecided !== undefined,
        failingSince: time('failing_since'),
        missedSince: missed.length === 0 ? undefined : Math.min(...missed),
        lastSuccessAt: time('last_success_at'),
        lastFailureAt: time('last_failure_at'),
        waiting,
      };
    },

    /** Endpoints that disabled themselves, of which the store does not know yet, with their accounts. */
    async undecided(): Promise<readonly { readonly id: string; readonly account: string }[]> {
      const ids = await redis.smembers(`${prefix}undecided-hooks`);
      const accounts = await Promise.all(ids.map((id) => redis.hget(`${prefix}hook:${id}`, 'account')));
      return ids.map((id, i) => ({ id, account: accounts[i] ?? '' }));
    },
  };
}

function snake({ jobId, batchId, ...delivery }: NewDelivery) {
  return { ...delivery, job_id: jobId, batch_id: batchId };
}

function snakeEndpoint({ disabledAt, ...endpoint }: KnownEndpoint) {
  return { ...endpoint, disabled_at: disabledAt };
}
