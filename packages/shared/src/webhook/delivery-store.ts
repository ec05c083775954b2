import { originFields } from '../origin.ts';
import { defineScript } from '../redis/script.ts';
import { type AttemptRecord, type Delivery, type DeliveryStatus, type NewDelivery, readDelivery } from './delivery.ts';
import type { ScriptContext } from './script-context.ts';

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
};

/** An endpoint that fails for so long is disabled, in milliseconds: five days. */
export const MOST_FAILING_MS = 432_000_000;
/** Deliveries forgotten by one script. */
const AT_ONCE = 500;

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

/** Deliveries in Redis, and the log of them. Every method that changes something throws `GenerationLostError`. */
export function createDeliveryStore({ redis, prefix, generation }: ScriptContext) {
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
      /** Where it was sent. */
      readonly url: string;
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
        url: end.url,
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
  };
}

function snake({ jobId, batchId, origin, ...delivery }: NewDelivery) {
  return { ...delivery, ...originFields(origin), job_id: jobId, batch_id: batchId };
}
