import { newId } from '@renderyard/shared/ids';
import { type AttemptRecord, deliveryId, type NewDelivery, receiverOf } from '@renderyard/shared/webhook/delivery';
import type { TakenDelivery } from '@renderyard/shared/webhook/delivery-store';
import type { Addressee, OutboxEvent } from '@renderyard/shared/webhook/event';
import { type EventType, eventsField } from '@renderyard/shared/webhook/event-type';
import type { KnownEndpoint } from '@renderyard/shared/webhook/receiver-store';
import { createWebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { openBatchBench } from './batch-bench.ts';
import { openBench } from './bench.ts';

/** Milliseconds for which a worker has a delivery, and until the next attempt, where a test does not say otherwise. */
export const LEASE_MS = 30_000;
export const WAIT_MS = 60_000;
/** As receivers.lua has them. */
export const AT_ONCE = 4;
export const MOST_WAITING = 10_000;
export const MOST_ENDED = 10_000;

/** An endpoint as a test says what it is. */
type EndpointChange = Partial<Omit<KnownEndpoint, 'id' | 'events'>> & {
  readonly events?: readonly EventType[] | null;
};
export type WebhookBench = Awaited<ReturnType<typeof openWebhookBench>>;

const everything = { most: 100, failingMost: 100, leaseMs: LEASE_MS };

/** What tests of webhooks do with a bench: endpoints, the outbox, and deliveries with their attempts. */
function withWebhooks<B extends Pick<Awaited<ReturnType<typeof openBench>>, 'redis' | 'prefix' | 'generation'>>(
  base: B,
) {
  const { redis, prefix } = base;
  const store = createWebhookStore(base);
  const decided = new Map<string, { seq: number; endpoints: Map<string, KnownEndpoint> }>();
  let made = 0;
  const of = (account: string) => {
    const found = decided.get(account) ?? { seq: 0, endpoints: new Map<string, KnownEndpoint>() };
    decided.set(account, found);
    return found;
  };
  const bench = {
    ...base,
    store,
    /** Puts what was decided about an account into force, as the next decision. */
    apply(account: string, at = Date.now() + 60_000) {
      const known = of(account);
      known.seq++;
      return store.applyEndpoints({ account, seq: known.seq, at, endpoints: [...known.endpoints.values()] });
    },
    /** Takes over what disabled itself, as whoever decides about the others does. */
    async adopt(account: string, but: string): Promise<void> {
      for (const known of of(account).endpoints.values()) {
        const { undecided, reason = '', disabledAt = 0 } = await store.receiver(known.id);
        if (!undecided || known.id === but) continue;
        of(account).endpoints.set(known.id, { ...known, state: 'disabled', reason, disabledAt });
      }
    },
    /** Makes or changes an endpoint. @returns its id. */
    async endpoint(
      { id = newId('whk'), events, ...change }: EndpointChange & { readonly id?: string } = {},
      account = 'acme',
      at?: number,
    ): Promise<string> {
      const known = of(account).endpoints;
      const was = known.get(id) ?? { id, url: `https://${id}.example/`, events: '*', state: 'enabled', secrets: '[]' };
      known.set(id, { ...was, ...(events === undefined ? {} : { events: eventsField(events) }), ...change });
      await bench.adopt(account, id);
      await bench.apply(account, at);
      return id;
    },
    async remove(id: string, account = 'acme'): Promise<void> {
      of(account).endpoints.delete(id);
      await bench.adopt(account, id);
      await bench.apply(account);
    },
    /** Events that wait to become deliveries, oldest first. */
    async outbox(): Promise<readonly OutboxEvent[]> {
      const entries = await redis.xrange(`${prefix}outbox`, '-', '+');
      return entries.map(([, [, text]]) => JSON.parse(text ?? '') as OutboxEvent);
    },
    told: async () => (await bench.outbox()).map(({ type }) => type),
    /** What was shown to those who watch. */
    async shown(): Promise<readonly string[]> {
      const entries = await redis.xrange(`${prefix}live`, '-', '+');
      return entries.map(([, fields]) => fields[fields.indexOf('type') + 1] ?? '');
    },
    /** A delivery of an event of its own. */
    delivery(to: string | Addressee, over: Partial<NewDelivery> = {}): NewDelivery {
      const addressee = typeof to === 'string' ? { webhook: to } : to;
      const account = over.account ?? 'acme';
      const event = { id: `evt_${prefix}${made++}`, at: over.at ?? Date.now() };
      return {
        id: deliveryId(event, addressee, account),
        event: event.id,
        type: 'job.succeeded',
        account,
        receiver: receiverOf(account, addressee),
        url: 'url' in addressee ? addressee.url : undefined,
        jobId: undefined,
        batchId: undefined,
        at: event.at,
        body: '{}',
        ...over,
      };
    },
    /** Makes so many deliveries. @returns their ids. */
    async deliver(to: string | Addressee, count = 1, over: Partial<NewDelivery> = {}): Promise<readonly string[]> {
      const ids: string[] = [];
      for (let left = count; left > 0; left -= 500) {
        const some = Array.from({ length: Math.min(left, 500) }, () => bench.delivery(to, over));
        await store.make(some);
        ids.push(...some.map(({ id }) => id));
      }
      return ids;
    },
    take: async (options: Partial<typeof everything> = {}) => (await store.take({ ...everything, ...options })).taken,
    /** Takes the one delivery that is due. @throws when it is not one. */
    async takeOne(): Promise<TakenDelivery> {
      const taken = await bench.take();
      if (taken.length !== 1 || taken[0] === undefined) throw new Error(`${taken.length} deliveries were due, not one`);
      return taken[0];
    },
    record: (
      { delivery, lease, url }: Pick<TakenDelivery, 'lease' | 'url'> & { readonly delivery: { readonly id: string } },
      verdict: 'ok' | 'failed' | 'gone' = 'ok',
      { waitMs, attempt }: { readonly waitMs?: number | undefined; readonly attempt?: Partial<AttemptRecord> } = {
        waitMs: WAIT_MS,
      },
    ) => store.record({ id: delivery.id, lease, url, attempt: { at: 1, ms: 2, ...attempt }, verdict, waitMs }),
    /** Fails the one delivery that is due, as often as is said. */
    async failOnce(): Promise<void> {
      await bench.record(await bench.takeOne(), 'failed');
    },
    async ids(status?: 'pending' | 'succeeded' | 'failed', account = 'acme'): Promise<readonly string[]> {
      return redis.zrange(`${prefix}dlvs:${account}${status === undefined ? '' : `:${status}`}`, '0', '-1');
    },
  };
  return bench;
}

/** A bench with endpoints and deliveries. Use it with `await using`. */
export const openWebhookBench = async () => withWebhooks(await openBench());

/** The same with batches. */
export const openWebhookBatchBench = async () => withWebhooks(await openBatchBench());
