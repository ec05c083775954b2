import { newId } from '@renderyard/shared/ids';
import { describe, expect, it } from 'vitest';
import { contents } from './keys.ts';
import { LEASE_MS, MOST_WAITING, openWebhookBench, WAIT_MS } from './webhook-bench.ts';

const OWN = { url: 'https://own.example/hook?job=1' };

describe('an event becomes deliveries', () => {
  it('once, however often it is asked', async () => {
    await using bench = await openWebhookBench();
    const deliveries = [bench.delivery(await bench.endpoint()), bench.delivery(OWN)];
    expect(await bench.store.make(deliveries)).toEqual({ made: 2, full: 0, known: 0 });
    const before = await contents(bench.redis, bench.prefix);
    for (let i = 0; i < 3; i++) expect(await bench.store.make(deliveries)).toEqual({ made: 0, full: 0, known: 2 });
    expect(await contents(bench.redis, bench.prefix)).toEqual(before);
    const taken = await bench.take();
    for (const one of taken) await bench.record(one);
    expect(await bench.store.make(deliveries)).toEqual({ made: 0, full: 0, known: 2 });
    expect(await bench.take()).toEqual([]);
    expect((await bench.ids('succeeded')).length).toBe(2);
  });

  it('in the step in which it leaves the outbox', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const entry = (await bench.redis.xadd(`${bench.prefix}outbox`, '*', 'event', '{}')) ?? '';
    const other = (await bench.redis.xadd(`${bench.prefix}outbox`, '*', 'event', '{}')) ?? '';
    await bench.redis.xgroup('CREATE', `${bench.prefix}outbox`, 'relay', '0');
    await bench.redis.xreadgroup('GROUP', 'relay', 'me', 'STREAMS', `${bench.prefix}outbox`, '>');
    const delivery = bench.delivery(id);
    await bench.store.make([delivery], { entry });
    expect(await bench.store.get(delivery.id)).toMatchObject({ ...delivery, status: 'pending', tries: 0 });
    expect((await bench.redis.xrange(`${bench.prefix}outbox`, '-', '+')).map(([left]) => left)).toEqual([other]);
    expect(await bench.redis.xpending(`${bench.prefix}outbox`, 'relay')).toMatchObject([
      1,
      other,
      other,
      [['me', '1']],
    ]);
    // Where the worker died before it knew: known deliveries, and the entry is gone.
    await bench.store.make([delivery], { entry });
    await bench.store.make([], { entry: other });
    expect(await bench.redis.xlen(`${bench.prefix}outbox`)).toBe(0);
    expect(await bench.ids()).toEqual([delivery.id]);
  });

  it('with what was told, byte for byte', async () => {
    await using bench = await openWebhookBench();
    const delivery = bench.delivery(OWN, { body: '{"a":"ä\\u0000 \\/"}', jobId: 'job_1', batchId: 'bat_1' });
    await bench.store.make([delivery]);
    const { delivery: taken, url, secrets } = await bench.takeOne();
    expect(taken).toMatchObject(delivery);
    expect({ url, secrets }).toEqual({ url: OWN.url, secrets: undefined });
  });

  it('but none for an endpoint that was deleted or never was', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.remove(id);
    const before = await contents(bench.redis, bench.prefix);
    expect(await bench.store.make([bench.delivery(id), bench.delivery(newId('whk'))])).toEqual({
      made: 0,
      full: 0,
      known: 0,
    });
    expect(await contents(bench.redis, bench.prefix)).toEqual(before);
  });

  it('but none for one that is disabled, of which it is noted since when something is missed', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const since = Date.now();
    await bench.endpoint({ id, state: 'disabled', reason: 'by_hand', disabledAt: since });
    expect((await bench.store.receiver(id)).missedSince).toBeGreaterThanOrEqual(since);
    expect(await bench.store.make([bench.delivery(id, { at: 2000 })])).toEqual({ made: 0, full: 1, known: 0 });
    await bench.store.make([bench.delivery(id, { at: 3000 })]);
    expect(await bench.store.receiver(id)).toMatchObject({ missedSince: 2000, waiting: 0, state: 'disabled' });
    expect(await bench.take()).toEqual([]);
  });
});

describe('a receiver for which 10,000 wait', () => {
  it.each(['an endpoint', 'an own webhook'])(
    'is %s that takes no more, and keeps since when it misses some',
    async (kind) => {
      await using bench = await openWebhookBench();
      const to = kind === 'an endpoint' ? await bench.endpoint() : OWN;
      const { receiver } = bench.delivery(to);
      await bench.deliver(to, MOST_WAITING - 1);
      expect(await bench.store.make([bench.delivery(to, { at: 5 })])).toMatchObject({ made: 1, full: 0 });
      for (const at of [5000, 4000, 6000])
        expect(await bench.store.make([bench.delivery(to, { at })])).toEqual({ made: 0, full: 1, known: 0 });
      expect(await bench.store.receiver(receiver)).toMatchObject({ waiting: MOST_WAITING, missedSince: 4000 });
      expect(await bench.redis.smembers(`${bench.prefix}missed`)).toEqual([receiver]);
      // Others are not concerned, and there is a place again once one is on its way.
      expect(await bench.store.make([bench.delivery(await bench.endpoint())])).toMatchObject({ made: 1 });
      await bench.take({ most: 1 });
      expect(await bench.store.make([bench.delivery(to)])).toMatchObject({ made: 1 });
      expect(await bench.store.make([bench.delivery(to)])).toMatchObject({ full: 1 });
    },
  );
});

describe('an attempt', () => {
  it('that succeeds ends the delivery', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(await bench.endpoint());
    const one = await bench.takeOne();
    expect(one.delivery).toMatchObject({ id, status: 'pending', nextAt: undefined });
    expect(await bench.record(one, 'ok', { attempt: { at: 7, ms: 8, status: 204, answer: 'yes' } })).toEqual({
      status: 'succeeded',
      late: false,
      disabled: undefined,
    });
    expect(await bench.store.get(id)).toMatchObject({
      status: 'succeeded',
      tries: 1,
      attempts: [{ at: 7, ms: 8, status: 204, answer: 'yes' }],
      nextAt: undefined,
    });
    await bench.pass(10 * WAIT_MS);
    expect(await bench.take()).toEqual([]);
    expect(await bench.store.receiver(one.delivery.receiver)).toMatchObject({ failingSince: undefined, waiting: 0 });
    expect((await bench.store.receiver(one.delivery.receiver)).lastSuccessAt).toBeGreaterThan(
      Date.now() - 20 * WAIT_MS,
    );
  });

  it('that fails lets it wait for the next, as long as is said', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(await bench.endpoint());
    for (const [tries, waitMs] of [
      [1, 5000],
      [2, 300_000],
      [3, 86_400_000],
    ] as const) {
      const one = await bench.takeOne();
      expect(one.failing).toBe(tries > 1);
      expect(await bench.record(one, 'failed', { waitMs })).toMatchObject({ status: 'pending', late: false });
      const { nextAt = 0, ...state } = (await bench.store.get(id)) ?? {};
      expect(state).toMatchObject({ tries, status: 'pending' });
      expect(nextAt - Date.now()).toBeGreaterThan(waitMs - 5000);
      expect(nextAt - Date.now()).toBeLessThanOrEqual(waitMs);
      const { taken, nextAt: due } = await bench.store.take({ most: 10, failingMost: 10, leaseMs: LEASE_MS });
      expect(taken).toEqual([]);
      expect(due).toBe(nextAt);
      await bench.pass(waitMs);
    }
    await bench.record(await bench.takeOne());
    expect(await bench.store.get(id)).toMatchObject({ status: 'succeeded', tries: 4 });
    expect((await bench.store.take({ most: 1, failingMost: 1, leaseMs: 1 })).nextAt).toBeUndefined();
  });

  it('after which none comes fails the delivery', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(OWN);
    expect(await bench.record(await bench.takeOne(), 'failed', {})).toMatchObject({ status: 'failed' });
    expect(await bench.store.get(id)).toMatchObject({ status: 'failed', tries: 1, nextAt: undefined });
    await bench.pass(10 * WAIT_MS);
    expect(await bench.take()).toEqual([]);
  });

  it('is told among the latest 20', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(OWN);
    for (let at = 1; at <= 23; at++)
      await bench.record(await bench.takeOne(), 'failed', { waitMs: 0, attempt: { at } });
    const { attempts = [], tries } = (await bench.store.get(id)) ?? {};
    expect(tries).toBe(23);
    expect(attempts.map(({ at }) => at)).toEqual(Array.from({ length: 20 }, (_, i) => i + 4));
  });
});

describe('a lease', () => {
  it('that has run out lets another worker take the delivery, at the same place of the schedule', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(await bench.endpoint());
    const first = await bench.takeOne();
    await bench.pass(LEASE_MS - 5000);
    expect(await bench.take()).toEqual([]);
    await bench.pass(5000);
    const second = await bench.takeOne();
    expect(second.delivery).toMatchObject({ id, tries: 0 });
    expect(second.lease).not.toBe(first.lease);
  });

  it('that has run out lets a success count, once', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(await bench.endpoint());
    const first = await bench.takeOne();
    await bench.pass(LEASE_MS);
    const second = await bench.takeOne();
    expect(await bench.record(first)).toEqual({ status: 'succeeded', late: false, disabled: undefined });
    expect(await bench.record(second, 'failed')).toEqual({ status: 'succeeded', late: true, disabled: undefined });
    expect(await bench.record(second)).toMatchObject({ status: 'succeeded', late: true });
    expect(await bench.record(first)).toMatchObject({ status: 'succeeded', late: true });
    expect(await bench.store.get(id)).toMatchObject({ tries: 1, status: 'succeeded', attempts: [{}] });
    await bench.pass(10 * LEASE_MS);
    expect(await bench.take()).toEqual([]);
    expect((await bench.store.receiver(second.delivery.receiver)).failingSince).toBeUndefined();
  });

  it('that has run out lets a success count that comes before anybody has taken the delivery again', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(await bench.endpoint());
    const first = await bench.takeOne();
    await bench.pass(LEASE_MS);
    // Nobody has room: the lease is ended, and nothing taken.
    expect(await bench.take({ most: 0 })).toEqual([]);
    expect((await bench.store.get(id))?.nextAt).toBeDefined();
    await bench.record(first);
    expect(await bench.store.get(id)).toMatchObject({ status: 'succeeded', nextAt: undefined });
    expect(await bench.take()).toEqual([]);
  });

  it('that has run out does not let a failure count', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(await bench.endpoint());
    const first = await bench.takeOne();
    await bench.pass(LEASE_MS);
    const second = await bench.takeOne();
    for (const verdict of ['failed', 'gone'] as const)
      expect(await bench.record(first, verdict)).toEqual({ status: 'pending', late: true, disabled: undefined });
    expect(await bench.store.get(id)).toMatchObject({ status: 'pending', tries: 0, attempts: [] });
    expect(await bench.record(second)).toMatchObject({ status: 'succeeded', late: false });
  });

  it('ends with the attempt: what is told of it again changes nothing', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(await bench.endpoint());
    const one = await bench.takeOne();
    await bench.record(one, 'failed');
    const before = await bench.store.get(id);
    expect(await bench.record(one, 'failed')).toMatchObject({ status: 'pending', late: true });
    expect(await bench.store.get(id)).toEqual(before);
  });
});
