import { describe, expect, it } from 'vitest';
import { allKeys } from './keys.ts';
import { LEASE_MS, openWebhookBench, type WebhookBench } from './webhook-bench.ts';

async function take({ store }: WebhookBench) {
  const task = await store.takeCatchUp(LEASE_MS);
  if (task === undefined) throw new Error('Nobody has anything to catch up on.');
  return task;
}

/** The lease of a catch-up is a key that expires by itself, by a clock that no test moves. */
const runOut = ({ redis, prefix }: WebhookBench, receiver: string) => redis.del(`${prefix}catching-up:${receiver}`);

describe('catching up', () => {
  it('is taken by one at a time, and goes on where it was once that one is dead', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.store.requestCatchUp(id, 'acme', 1000);
    const first = await take(bench);
    expect(first).toMatchObject({ receiver: id, account: 'acme', from: 1000, events: '*' });
    expect(await bench.store.takeCatchUp(LEASE_MS)).toBeUndefined();
    expect(await bench.store.keepCatchUp(first, 'here', LEASE_MS)).toBe('room');
    await runOut(bench, id);
    // As long as nobody else took it up, it is still its own.
    expect(await bench.store.keepCatchUp(first, 'further', undefined)).toBe('room');
    const { turn, ...second } = await take(bench);
    expect({ ...second, turn: first.turn }).toEqual({ ...first, cursor: 'further' });
    expect(turn).not.toBe(first.turn);
  });

  it('is not moved or ended by one that was slower than its lease, nor is a later round', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.store.requestCatchUp(id, 'acme', 1000);
    const slow = await take(bench);
    await runOut(bench, id);
    const second = await take(bench);
    await bench.store.keepCatchUp(second, 'far', LEASE_MS);
    expect(await bench.store.keepCatchUp(slow, 'back', undefined)).toBe('lost');
    expect(await bench.store.takeCatchUp(LEASE_MS)).toBeUndefined();
    expect(await bench.store.keepCatchUp(second, undefined, undefined)).toBe('room');

    await bench.pass(1);
    await bench.store.requestCatchUp(id, 'acme', 2000);
    const later = await take(bench);
    expect(await bench.store.keepCatchUp(slow, 'over the beginning', LEASE_MS)).toBe('lost');
    expect(await bench.store.keepCatchUp(slow, undefined, undefined)).toBe('lost');
    await runOut(bench, id);
    const { turn: _, ...again } = await take(bench);
    expect(again).toEqual({ receiver: id, account: 'acme', from: 2000, until: later.until, events: '*' });
  });

  it('of an own webhook leaves nothing behind where there was nothing to be told', async () => {
    await using bench = await openWebhookBench();
    const before = await allKeys(bench.redis, bench.prefix);
    await bench.store.requestCatchUp('url_1', 'acme', 1000);
    expect(await bench.store.keepCatchUp(await take(bench), undefined, undefined)).toBe('room');
    expect(await allKeys(bench.redis, bench.prefix)).toEqual(before);
  });
});

describe('what is owed', () => {
  it('is owed since the oldest of what waits, in whatever order that came', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const since = async () => (await bench.store.owed()).receivers[id]?.since;
    for (const at of [5000, 3000, 4000]) await bench.store.make([bench.delivery(id, { at })]);
    expect(await since()).toBe(3000);
    for (const one of await bench.take()) await bench.record(one);
    expect(await since()).toBeUndefined();
  });

  it('is what is sent again by hand, too', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const [delivery = ''] = await bench.deliver(id, 1, { at: 3000 });
    await bench.record(await bench.takeOne(), 'failed', { waitMs: undefined });
    expect((await bench.store.owed()).receivers).toEqual({});
    expect(await bench.store.replay('acme', [delivery])).toEqual([delivery]);
    expect((await bench.store.owed()).receivers).toEqual({ [id]: { account: 'acme', since: 3000 } });
  });

  it('is nothing any more to an endpoint that was deleted, also while something is on its way to it', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    await bench.deliver(id, 6);
    const [first, ...others] = await bench.take();
    if (first === undefined) throw new Error('nothing was due');
    await bench.remove(id);
    for (const one of [first, ...others]) await bench.record(one, 'failed');
    expect(await bench.redis.zcard(`${bench.prefix}owed`)).toBe(0);
  });
});
