import type { TakenDelivery } from '@renderyard/shared/webhook/delivery-store';
import { describe, expect, it } from 'vitest';
import { AT_ONCE, LEASE_MS, openWebhookBench, type WebhookBench } from './webhook-bench.ts';

const receiversOf = (taken: readonly TakenDelivery[]) => taken.map(({ delivery }) => delivery.receiver);
const count = (list: readonly string[], one: string) => list.filter((each) => each === one).length;

/** Endpoints whose last attempt failed, each with one delivery that is due. */
async function failingOnes(bench: WebhookBench, many: number): Promise<readonly string[]> {
  const ids: string[] = [];
  // Each decision holds all endpoints of its account.
  for (let i = 0; i < many; i++) ids.push(await bench.endpoint({}, `account-${i % 50}`));
  for (const id of ids) await bench.deliver(id);
  for (const one of await bench.take({ most: many })) await bench.record(one, 'failed', { waitMs: 0 });
  return ids;
}

describe('a receiver', () => {
  it('is sent four deliveries at a time, and one more for each that has ended', async () => {
    await using bench = await openWebhookBench();
    const ids = await bench.deliver(await bench.endpoint(), 10);
    const [first, ...others] = await bench.take();
    if (first === undefined) throw new Error('nothing was due');
    expect(others.length).toBe(AT_ONCE - 1);
    expect(await bench.take()).toEqual([]);
    await bench.record(first);
    const next = await bench.takeOne();
    // By when they became due, which is the same for all, and then by their ids.
    expect([first, ...others, next].map(({ delivery }) => delivery.id)).toEqual([...ids].sort().slice(0, 5));
  });

  it('whose last attempt failed is sent one at a time, until one succeeds', async () => {
    await using bench = await openWebhookBench();
    await bench.deliver(await bench.endpoint(), 20);
    const [first, second, third, fourth] = await bench.take();
    if (!first || !second || !third || !fourth) throw new Error('few were due');
    await bench.record(first, 'failed');
    for (const one of [second, third]) {
      expect(await bench.take()).toEqual([]);
      await bench.record(one, 'failed');
    }
    expect(await bench.take()).toEqual([]);
    await bench.record(fourth, 'failed');
    const trial = await bench.takeOne();
    expect(trial.failing).toBe(true);
    await bench.record(trial, 'failed');
    const next = await bench.takeOne();
    await bench.record(next, 'ok');
    expect((await bench.take()).map(({ failing }) => failing)).toEqual(Array.from({ length: AT_ONCE }, () => false));
  });

  it('that has become well while one that failed is still waited for is sent four again', async () => {
    await using bench = await openWebhookBench();
    await bench.deliver(await bench.endpoint(), 20);
    const [first, second] = await bench.take();
    if (!first || !second) throw new Error('few were due');
    await bench.record(first, 'failed');
    await bench.record(second, 'ok');
    expect((await bench.take()).length).toBe(2);
  });

  it('for which everything is on its way is not looked at until its workers are dead', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.deliver(id, 6);
    expect((await bench.take()).length).toBe(AT_ONCE);
    expect((await bench.store.take({ most: 10, failingMost: 10, leaseMs: 1 })).nextAt).toBeUndefined();
    await bench.pass(LEASE_MS);
    expect((await bench.take()).length).toBe(AT_ONCE);
    expect((await bench.store.receiver(id)).waiting).toBe(2);
  });
});

describe('receivers take turns', () => {
  it('so that 5,000 deliveries for one keep no other waiting for longer than a round', async () => {
    await using bench = await openWebhookBench();
    const busy = await bench.endpoint();
    await bench.deliver(busy, 5000);
    const others: string[] = [];
    for (let i = 0; i < 30; i++) {
      others.push(await bench.endpoint({}, `account-${i}`));
      await bench.deliver(others[i] ?? '', 1, { account: `account-${i}` });
    }
    const served: string[] = [];
    for (let round = 0; round < 4; round++) {
      const taken = await bench.take({ most: 8 });
      expect(taken.length).toBe(8);
      served.push(...receiversOf(taken));
      for (const one of taken) await bench.record(one);
    }
    expect([...new Set(served)].sort()).toEqual([busy, ...others].sort());
    // It has what the others leave.
    expect(receiversOf(await bench.take({ most: 8 }))).toEqual(Array.from({ length: AT_ONCE }, () => busy));
  });

  it('one delivery each before a second of any', async () => {
    await using bench = await openWebhookBench();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(await bench.endpoint());
    for (const id of ids) await bench.deliver(id, 3);
    const taken = receiversOf(await bench.take({ most: 10 }));
    expect([...taken.slice(0, 5)].sort()).toEqual([...ids].sort());
    expect([...taken.slice(5)].sort()).toEqual([...ids].sort());
  });

  it('where one hears of something new all the time', async () => {
    await using bench = await openWebhookBench();
    const chatty = await bench.endpoint();
    const busy: string[] = [];
    for (let i = 0; i < 3; i++) busy.push(await bench.endpoint());
    for (const id of busy) await bench.deliver(id, 50);
    await bench.deliver(chatty);
    const served: string[] = [];
    for (let round = 0; round < 8; round++) {
      // Each is due a little later than the one before.
      await bench.pass(10);
      await bench.deliver(chatty);
      const taken = await bench.take({ most: 1 });
      served.push(...receiversOf(taken));
      for (const one of taken) await bench.record(one);
    }
    expect(count(served, chatty)).toBe(2);
    for (const id of busy) expect(count(served, id)).toBe(2);
  });

  it('where the answers for one come in all the time', async () => {
    await using bench = await openWebhookBench();
    const answering = await bench.endpoint();
    await bench.deliver(answering, 50);
    const flying = [...(await bench.take({ most: 3 }))];
    const busy = await bench.endpoint();
    await bench.pass(10);
    await bench.deliver(busy, 50);
    await bench.pass(10);
    const [landed] = flying;
    if (landed === undefined) throw new Error('nothing was due');
    await bench.record(landed);
    expect(receiversOf(await bench.take({ most: 1 }))).toEqual([answering]);
  });
});

describe('receivers that fail', () => {
  it('take no more than their share, whoever was due first', async () => {
    await using bench = await openWebhookBench();
    const failing = await failingOnes(bench, 300);
    await bench.pass(1000);
    const healthy = await bench.endpoint();
    await bench.deliver(healthy, 2);
    const taken = await bench.take({ most: 16, failingMost: 8 });
    expect(receiversOf(taken).slice(0, 2)).toEqual([healthy, healthy]);
    expect(taken.map(({ failing: fails }) => fails)).toEqual([false, false, ...Array.from({ length: 8 }, () => true)]);
    expect(failing).toEqual(expect.arrayContaining(receiversOf(taken).slice(2)));
    // All room is theirs to be had by the healthy.
    expect(await bench.take({ most: 16, failingMost: 0 })).toEqual([]);
  });

  it('take what the others leave of all', async () => {
    await using bench = await openWebhookBench();
    await failingOnes(bench, 10);
    const healthy = await bench.endpoint();
    await bench.deliver(healthy, AT_ONCE);
    const taken = await bench.take({ most: 6, failingMost: 5 });
    expect(taken.map(({ failing }) => failing)).toEqual([false, false, false, false, true, true]);
  });

  it('take turns with each other, also where much waits for one of them', async () => {
    await using bench = await openWebhookBench();
    const failing = await failingOnes(bench, 20);
    await bench.deliver(failing[0] ?? '', 100);
    const served: string[] = [];
    for (let round = 0; round < 5; round++) {
      await bench.pass(10);
      const taken = await bench.take({ most: 10, failingMost: 4 });
      served.push(...receiversOf(taken));
      for (const one of taken) await bench.record(one, 'failed', { waitMs: 0 });
    }
    expect([...served].sort()).toEqual([...failing].sort());
  });

  it('do not hide when the next delivery is due', async () => {
    await using bench = await openWebhookBench();
    await bench.deliver(await bench.endpoint());
    await bench.record(await bench.takeOne(), 'failed', { waitMs: 50_000 });
    await bench.deliver(await bench.endpoint());
    await bench.record(await bench.takeOne(), 'failed', { waitMs: 20_000 });
    const { nextAt = 0 } = await bench.store.take({ most: 1, failingMost: 1, leaseMs: 1 });
    expect(nextAt - Date.now()).toBeGreaterThan(15_000);
    expect(nextAt - Date.now()).toBeLessThanOrEqual(20_000);
  });

  it('do not have anybody look again at once while they have their share', async () => {
    await using bench = await openWebhookBench();
    await failingOnes(bench, 3);
    const take = (failingMost: number) => bench.store.take({ most: 10, failingMost, leaseMs: LEASE_MS });
    expect(await take(0)).toEqual({ taken: [], nextAt: undefined });
    const { taken, nextAt } = await take(2);
    expect([taken.length, nextAt]).toEqual([2, undefined]);
    const last = await take(2);
    expect([last.taken.length, last.nextAt]).toEqual([1, undefined]);
  });
});
