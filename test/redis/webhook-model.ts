import type { TakenDelivery } from '@renderyard/shared/webhook/delivery-store';
import { expect } from 'vitest';
import { AT_ONCE, LEASE_MS, type WebhookBench } from './webhook-bench.ts';

/** Longer than a lease and than the wait until a next attempt, so that whatever is not due now is due after one of these. */
export const LONG_MS = 2 * LEASE_MS;
export const OWN = { url: 'https://own.example/a' };

/** A delivery as it must be, by what was done with it. */
export interface ModelDelivery {
  readonly id: string;
  readonly receiver: string;
  place: 'waiting' | 'flying' | 'ended';
  status: 'pending' | 'succeeded' | 'failed';
  /** While it waits, and while it flies when its lease ends; by the model's clock. */
  at: number;
  tries: number;
  madeAt: number;
}

interface ModelReceiver {
  state: 'enabled' | 'disabled' | 'deleted';
  failing: boolean;
  failingSince: number | undefined;
}

/** What Redis must hold, by a clock that only moves when the test lets it. */
export function createWebhookModel() {
  const deliveries = new Map<string, ModelDelivery>();
  const receivers = new Map<string, ModelReceiver>();
  const model = {
    now: 0,
    deliveries,
    receivers,
    /** Endpoints that disabled themselves since they were last decided about. */
    told: 0,
    receiver(id: string): ModelReceiver {
      const known = receivers.get(id) ?? { state: 'enabled', failing: false, failingSince: undefined };
      receivers.set(id, known);
      return known;
    },
    of: (receiver: string, place: ModelDelivery['place']) =>
      [...deliveries.values()].filter((one) => one.receiver === receiver && one.place === place),
    /** Ends leases, as whoever takes does first. */
    expire() {
      for (const one of deliveries.values()) {
        if (one.place !== 'flying' || one.at > model.now) continue;
        Object.assign(one, { place: 'waiting', at: model.now });
      }
    },
    /** How many can be taken of healthy and of failing receivers. */
    takeable() {
      const count = { healthy: 0, failing: 0 };
      for (const [id, { state, failing }] of receivers) {
        if (state !== 'enabled') continue;
        const due = model.of(id, 'waiting').filter(({ at }) => at <= model.now).length;
        const room = Math.max(0, (failing ? 1 : AT_ONCE) - model.of(id, 'flying').length);
        count[failing ? 'failing' : 'healthy'] += Math.min(due, room);
      }
      return count;
    },
    took({ delivery }: TakenDelivery) {
      const known = deliveries.get(delivery.id);
      // Neither what has arrived nor what is on its way, nor too early, nor what nobody is to be sent.
      expect(known).toMatchObject({ place: 'waiting', status: 'pending' });
      if (known === undefined) return;
      expect(known.at).toBeLessThanOrEqual(model.now);
      expect(model.receiver(known.receiver).state).toBe('enabled');
      expect(delivery.tries).toBe(known.tries);
      Object.assign(known, { place: 'flying', at: model.now + LEASE_MS });
    },
    end(one: ModelDelivery, status: 'succeeded' | 'failed') {
      Object.assign(one, { place: 'ended', status });
    },
    delete(receiver: string) {
      model.receiver(receiver).state = 'deleted';
      for (const one of model.of(receiver, 'waiting')) model.end(one, 'failed');
    },
  };
  return model;
}

export type WebhookModel = ReturnType<typeof createWebhookModel>;

/** What must hold after every step. */
export async function expectDeliveriesInOrder(bench: WebhookBench, model: WebhookModel): Promise<void> {
  const { redis, prefix } = bench;
  const ids = [...model.deliveries.keys()];
  const receivers = [...model.receivers.keys()];
  const read = redis.pipeline();
  for (const name of ['', ':pending', ':succeeded', ':failed']) read.zrange(`${prefix}dlvs:acme${name}`, '0', '-1');
  for (const name of ['receivers', 'receivers:failing', 'leases', 'deliveries'])
    read.zrange(`${prefix}${name}`, '0', '-1', 'WITHSCORES');
  read.time();
  for (const id of ids) read.hgetall(`${prefix}dlv:${id}`);
  for (const receiver of receivers) {
    read.zrange(`${prefix}dq:${receiver}`, '0', '-1', 'WITHSCORES');
    read.smembers(`${prefix}sending:${receiver}`);
    read.hgetall(`${prefix}hook:${receiver}`);
    read.zrange(`${prefix}dlvs:to:${receiver}`, '0', '-1');
  }
  const answers = ((await read.exec()) ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
  const list = () => [...(answers.shift() as string[])];
  const scores = () => {
    const flat = list();
    return new Map(flat.flatMap((id, i) => (i % 2 === 0 ? [[id, Number(flat[i + 1])] as const] : [])));
  };
  const [all, pending, succeeded, failed] = [list(), list(), list(), list()];
  const [lined, linedFailing, leases, kept] = [scores(), scores(), scores(), scores()];
  const [seconds = '0', micros = '0'] = (answers.shift() as (string | number)[]).map(String);
  const now = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  const hashes = new Map(ids.map((id) => [id, answers.shift() as Record<string, string>]));

  const known = [...model.deliveries.values()];
  const idsOf = (some: readonly ModelDelivery[]) => some.map(({ id }) => id).sort();
  expect(all).toEqual([...ids].sort());
  expect([...kept.keys()].sort()).toEqual([...ids].sort());
  expect(pending).toEqual(idsOf(known.filter(({ status }) => status === 'pending')));
  expect(succeeded).toEqual(idsOf(known.filter(({ status }) => status === 'succeeded')));
  expect(failed).toEqual(idsOf(known.filter(({ status }) => status === 'failed')));
  expect([...leases.keys()].sort()).toEqual(idsOf(known.filter(({ place }) => place === 'flying')));
  for (const one of known) {
    const hash = hashes.get(one.id) ?? {};
    expect(hash).toMatchObject({ id: one.id, receiver: one.receiver, status: one.status, tries: String(one.tries) });
    expect([one.id, 'next_at' in hash, 'lease' in hash]).toEqual([
      one.id,
      one.place === 'waiting',
      one.place === 'flying',
    ]);
  }
  for (const receiver of receivers) {
    const { state, failing } = model.receiver(receiver);
    const due = scores();
    const sending = list();
    const hook = answers.shift() as Record<string, string>;
    expect(list()).toEqual(idsOf(known.filter((one) => one.receiver === receiver)));
    expect([...due.keys()].sort()).toEqual(idsOf(model.of(receiver, 'waiting')));
    expect(sending.sort()).toEqual(idsOf(model.of(receiver, 'flying')));
    if (receiver.startsWith('whk_')) {
      expect([hook.state, hook.failing]).toEqual(
        state === 'deleted' ? [undefined, undefined] : [state, failing ? '1' : undefined],
      );
    }
    const head = Math.min(...due.values());
    const mayBeSent = state !== 'disabled' && due.size > 0 && sending.length < (failing ? 1 : AT_ONCE);
    const place = [lined.get(receiver), linedFailing.get(receiver)];
    const score = place[failing ? 1 : 0];
    expect([receiver, place.map((each) => each !== undefined)]).toEqual([
      receiver,
      [mayBeSent && !failing, mayBeSent && failing],
    ]);
    // It is looked at no later than what waits first is due.
    if (score !== undefined) expect(score).toBeLessThanOrEqual(Math.max(head, now));
  }
  expect([...lined.keys(), ...linedFailing.keys()].filter((id) => !receivers.includes(id))).toEqual([]);
}
