import { describe, expect, it } from 'vitest';
import { allKeys } from './keys.ts';
import { AT_ONCE, LEASE_MS, MOST_ENDED, MOST_WAITING, openWebhookBench, type WebhookBench } from './webhook-bench.ts';

const OWN = { url: 'https://own.example/hook' };
const HOUR_MS = 3_600_000;

/** Makes a delivery and ends it. @returns its id. */
async function ended(bench: WebhookBench, to: string | typeof OWN, verdict: 'ok' | 'failed' = 'ok'): Promise<string> {
  const [id = ''] = await bench.deliver(to);
  await bench.record(await bench.takeOne(), verdict, {});
  return id;
}

describe('a replay', () => {
  it.each(['ok', 'failed'] as const)(
    'sends a delivery that has ended (%s) again, from the first attempt on',
    async (verdict) => {
      await using bench = await openWebhookBench();
      const id = await ended(bench, await bench.endpoint(), verdict);
      expect(await bench.store.replay('acme', [id])).toEqual([id]);
      expect(await bench.store.get(id)).toMatchObject({ status: 'pending', tries: 0, attempts: [{}] });
      expect(await bench.ids('pending')).toEqual([id]);
      expect(await bench.ids(verdict === 'ok' ? 'succeeded' : 'failed')).toEqual([]);
      const one = await bench.takeOne();
      expect(one.delivery).toMatchObject({ id, tries: 0 });
      await bench.record(one);
      expect(await bench.store.get(id)).toMatchObject({ status: 'succeeded', tries: 1, attempts: [{}, {}] });
      expect(await bench.take()).toEqual([]);
    },
  );

  it('sends one that waits at once', async () => {
    await using bench = await openWebhookBench();
    const [id = ''] = await bench.deliver(OWN);
    await bench.record(await bench.takeOne(), 'failed', { waitMs: HOUR_MS });
    expect(await bench.take()).toEqual([]);
    expect(await bench.store.replay('acme', [id])).toEqual([id]);
    expect((await bench.takeOne()).delivery).toMatchObject({ id, tries: 0 });
  });

  it('sends none that is on its way, nor unknown ones, nor those of others, nor of endpoints that are disabled or deleted', async () => {
    await using bench = await openWebhookBench();
    const [disabled, deleted, kept] = [await bench.endpoint(), await bench.endpoint(), await bench.endpoint()];
    const ids = [await ended(bench, disabled), await ended(bench, deleted), await ended(bench, kept)];
    await bench.endpoint({ id: disabled, state: 'disabled', reason: 'by_hand', disabledAt: 1 });
    await bench.remove(deleted);
    const [flying = ''] = await bench.deliver(kept);
    await bench.takeOne();
    expect(await bench.store.replay('somebody', [...ids, flying])).toEqual([]);
    expect(await bench.store.replay('acme', [])).toEqual([]);
    expect(await bench.store.replay('acme', [...ids, flying, 'dlv_unknown'])).toEqual([ids[2]]);
    expect(await bench.ids('pending')).toEqual([ids[2], flying].sort());
    expect(await bench.redis.exists(`${bench.prefix}dlv:dlv_unknown`)).toBe(0);
  });

  it('sends none where 10,000 wait', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const one = await ended(bench, id);
    await bench.deliver(id, MOST_WAITING);
    expect(await bench.store.replay('acme', [one])).toEqual([]);
    await bench.take({ most: 1 });
    expect(await bench.store.replay('acme', [one])).toEqual([one]);
    expect((await bench.store.receiver(id)).waiting).toBe(MOST_WAITING);
  });
});

describe('the log', () => {
  it('lists deliveries, the newest first, by status and receiver, page by page', async () => {
    await using bench = await openWebhookBench();
    const [one, two] = [await bench.endpoint(), await bench.endpoint()];
    const ids: string[] = [];
    for (let at = 1; at <= 12; at++) {
      ids.unshift(...(await bench.deliver(at % 3 === 0 ? two : one, 1, { at: at * 1000 })));
      await bench.record(await bench.takeOne(), at % 2 === 0 ? 'ok' : 'failed', {});
    }
    await bench.deliver(await bench.endpoint({}, 'somebody'), 3, { account: 'somebody' });
    const list = async (options: Partial<Parameters<typeof bench.store.list>[1]>) =>
      (await bench.store.list('acme', { limit: 100, ...options })).map(({ id }) => id);
    const every = (first: number, step: number) => ids.filter((_, i) => i % step === first);
    expect(await list({})).toEqual(ids);
    expect(await list({ status: 'succeeded' })).toEqual(every(0, 2));
    expect(await list({ status: 'pending' })).toEqual([]);
    expect(await list({ receiver: two })).toEqual(every(0, 3));
    expect(await list({ receiver: two, status: 'failed' })).toEqual(every(3, 6));
    expect(await list({ receiver: two, status: 'failed', limit: 1 })).toEqual(every(3, 6).slice(0, 1));
    expect(await list({ limit: 5, after: ids[3] })).toEqual(ids.slice(4, 9));
    expect(await list({ receiver: two, status: 'succeeded', limit: 5, after: ids[0] })).toEqual(every(0, 6).slice(1));
    expect(await bench.store.list('somebody', { receiver: two, limit: 10 })).toEqual([]);
    const failed = every(1, 2).reverse();
    expect(await bench.store.failedSince('acme', { from: `[${failed[2]}`, limit: 2 })).toEqual(failed.slice(2, 4));
  });

  it('keeps 10,000 of an account that have succeeded and as many that have failed, and forgets the oldest', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const other = await ended(bench, id, 'failed');
    // Filled with what has no hash: only the oldest is looked at.
    const many = Array.from({ length: MOST_ENDED - 2 }, (_, i) => ['0', `dlv_9${String(i).padStart(5, '0')}`]).flat();
    await bench.redis.zadd(`${bench.prefix}dlvs:acme:succeeded`, ...many);
    const [oldest, older, newer] = [await ended(bench, id), await ended(bench, id), await ended(bench, id)];
    expect(await bench.store.get(oldest)).toBeUndefined();
    expect(await bench.store.get(older)).toMatchObject({ status: 'succeeded' });
    expect(await bench.redis.zcard(`${bench.prefix}dlvs:acme:succeeded`)).toBe(MOST_ENDED);
    const left = [other, older, newer].sort();
    expect(await bench.ids()).toEqual(left);
    expect(await bench.redis.zrange(`${bench.prefix}dlvs:to:${id}`, '0', '-1')).toEqual(left);
    expect([...(await bench.redis.zrange(`${bench.prefix}deliveries`, '0', '-1'))].sort()).toEqual(left);
  });

  it('forgets what ends as the oldest of all at once', async () => {
    await using bench = await openWebhookBench();
    const [late = ''] = await bench.deliver(OWN, 1, { at: 1 });
    const one = await bench.takeOne();
    const many = Array.from({ length: MOST_ENDED }, (_, i) => ['0', `dlv_9${String(i).padStart(5, '0')}`]).flat();
    await bench.redis.zadd(`${bench.prefix}dlvs:acme:succeeded`, ...many);
    expect(await bench.record(one)).toEqual({ status: 'gone', late: false, disabled: undefined });
    expect(await bench.store.get(late)).toBeUndefined();
    expect(await bench.ids()).toEqual([]);
  });
});

describe('a sweep', () => {
  it('forgets deliveries that were made before a time, whatever has become of them, and no others', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const before = await allKeys(bench.redis, bench.prefix);
    await ended(bench, OWN, 'failed');
    await ended(bench, id, 'failed');
    await bench.deliver(OWN, 6);
    await bench.deliver(id, 6);
    expect((await bench.take()).length).toBe(2 * 1);
    await bench.pass(2 * HOUR_MS);
    const [kept = ''] = await bench.deliver(id);
    await bench.pass(HOUR_MS);
    expect(await bench.store.sweep(Date.now() - 2 * HOUR_MS)).toBe(14);
    expect(await bench.ids()).toEqual([kept]);
    expect((await bench.takeOne()).delivery.id).toBe(kept);
    expect(await bench.store.sweep(Date.now())).toBe(1);
    const left = (await allKeys(bench.redis, bench.prefix)).filter((key) => !key.endsWith(':delivery-leases'));
    expect(left).toEqual(before);
  });

  it('forgets 500 at a time', async () => {
    await using bench = await openWebhookBench();
    await bench.deliver(OWN, 1100);
    const sweep = () => bench.store.sweep(Date.now() + 1);
    expect([await sweep(), await sweep(), await sweep(), await sweep()]).toEqual([500, 500, 100, 0]);
  });

  it('lets what is on its way end unheard', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.deliver(id, AT_ONCE);
    const taken = await bench.take();
    await bench.store.sweep(Date.now() + 1);
    const before = await allKeys(bench.redis, bench.prefix);
    for (const [i, one] of taken.entries())
      expect(await bench.record(one, i % 2 ? 'ok' : 'gone')).toEqual({
        status: 'gone',
        late: true,
        disabled: undefined,
      });
    expect(await allKeys(bench.redis, bench.prefix)).toEqual(before);
    await bench.pass(LEASE_MS);
    // Nobody is held up by it.
    await bench.deliver(id, AT_ONCE);
    expect((await bench.take()).length).toBe(AT_ONCE);
  });

  it('of all that was for an own webhook forgets that it failed, too', async () => {
    await using bench = await openWebhookBench();
    await ended(bench, OWN, 'failed');
    const { receiver } = bench.delivery(OWN);
    expect((await bench.store.receiver(receiver)).failingSince).toBeDefined();
    await bench.store.sweep(Date.now() + 1);
    await bench.deliver(OWN, AT_ONCE);
    expect((await bench.take()).map(({ failing }) => failing)).toEqual(Array.from({ length: AT_ONCE }, () => false));
  });

  it('of all that was for an own webhook keeps what it is to catch up on, until it has', async () => {
    await using bench = await openWebhookBench();
    const before = await allKeys(bench.redis, bench.prefix);
    await bench.deliver(OWN);
    const { receiver } = bench.delivery(OWN);
    await bench.store.requestCatchUp(receiver, 'acme', 1);
    await bench.store.sweep(Date.now() + 1);
    const task = await bench.store.takeCatchUp(LEASE_MS);
    expect(task).toMatchObject({ receiver, account: 'acme', from: 1 });
    if (task === undefined) throw new Error('It has nothing to catch up on.');
    expect(await bench.store.keepCatchUp(task, undefined, undefined)).toBe('room');
    expect(await allKeys(bench.redis, bench.prefix)).toEqual(before);
  });
});
