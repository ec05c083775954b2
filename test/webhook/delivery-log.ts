import { randomBytes } from 'node:crypto';
import { idOf } from '@renderyard/shared/ids';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { type AttemptRecord, deliveryId, receiverOf } from '@renderyard/shared/webhook/delivery';
import type { Addressee } from '@renderyard/shared/webhook/event';
import type { DeliveredType } from '@renderyard/shared/webhook/event-type';
import { createWebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { expect } from 'vitest';
import { openApi } from '../api/running-api.ts';

export const ANN = { authorization: 'Bearer secret-of-ann-1234' };
export const BOB = { authorization: 'Bearer secret-of-bob-1234' };

/** What a test wants delivered. */
export interface Wanted {
  readonly to: Addressee;
  /** Milliseconds since 1970; now if left out. */
  readonly at?: number;
  readonly type?: DeliveredType;
  readonly account?: string;
  readonly job?: string;
  readonly batch?: string;
  readonly body?: string;
}

/** Deliveries that one call of the store makes here. */
const AT_ONCE = 500;

/** An API of the accounts `ann` and `bob`, and deliveries as the relay and the sender would make and end them. */
export async function openDeliveryLog() {
  const api = await openApi({ env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' } });
  const { redis, prefix } = api;
  const generation = createGeneration(redis, prefix);
  await generation.find();
  const store = createWebhookStore({ redis, prefix, generation });
  let seq = 0;

  return {
    ...api,
    store,
    /** Has an account have these endpoints, and no others. */
    async setEndpoints(endpoints: Readonly<Record<string, 'enabled' | 'disabled'>>, account = 'ann') {
      const applied = await store.applyEndpoints({
        account,
        seq: ++seq,
        at: Date.now(),
        endpoints: Object.entries(endpoints).map(([id, state]) => ({
          ...{ id, url: urlOf(id), events: '*', state, secrets: '[]' },
          ...(state === 'disabled' ? { reason: 'by_hand', disabledAt: Date.now() } : {}),
        })),
      });
      expect(applied).toBe(true);
    },
    /** @returns the ids, in the order of what was wanted. */
    async make(...wanted: readonly Wanted[]): Promise<string[]> {
      const deliveries = wanted.map(
        ({ to, at = Date.now(), type = 'job.succeeded', account = 'ann', body = '{}', job, batch }) => {
          const event = { id: idOf('evt', at, randomBytes(10)), at };
          return {
            ...{ id: deliveryId(event, to, account), event: event.id, type, account, at, body },
            receiver: receiverOf(account, to),
            url: 'url' in to ? to.url : undefined,
            ...{ jobId: job, batchId: batch },
          };
        },
      );
      for (let from = 0; from < deliveries.length; from += AT_ONCE) {
        const some = deliveries.slice(from, from + AT_ONCE);
        expect((await store.make(some)).made).toBe(some.length);
      }
      return deliveries.map(({ id }) => id);
    },
    /** Takes the only delivery that is due. */
    async takeOne() {
      const { taken } = await store.take({ most: 2, failingMost: 2, leaseMs: 60_000 });
      expect(taken).toHaveLength(1);
      return taken[0] as (typeof taken)[number];
    },
    /** Makes one attempt of everything that is due, until nothing is. @returns what was tried. */
    async endAll(verdict: 'ok' | 'failed', attempt: Partial<AttemptRecord> = {}): Promise<string[]> {
      const ended: string[] = [];
      for (;;) {
        const { taken } = await store.take({ most: 100, failingMost: 100, leaseMs: 60_000 });
        if (taken.length === 0) return ended;
        const attempted = { at: Date.now(), ms: 3, ...attempt };
        const records = taken.map(({ delivery: { id }, lease, url }) =>
          store.record({ id, lease, url, attempt: attempted, verdict, waitMs: undefined }),
        );
        await Promise.all(records);
        ended.push(...taken.map(({ delivery }) => delivery.id));
      }
    },
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

/** Where an endpoint of a test is. */
export const urlOf = (endpoint: string) => `https://receiver.example/${endpoint}?token=t`;
