import { defineScript } from '@renderyard/shared/redis/script';
import { describe, expect, it } from 'vitest';
import { allKeys } from './keys.ts';
import { LEASE_MS, openWebhookBench } from './webhook-bench.ts';

describe('an endpoint that is deleted', () => {
  it('is sent nothing more, and what waited for it has failed', async () => {
    await using bench = await openWebhookBench();
    const id = await bench.endpoint();
    const kept = await bench.endpoint();
    const ids = await bench.deliver(id, 1200);
    const [done, failed, flying, lost] = await bench.take();
    if (!done || !failed || !flying || !lost) throw new Error('few were due');
    await bench.record(done);
    await bench.record(failed, 'failed');
    await bench.deliver(kept);
    await bench.remove(id);
    expect((await bench.ids('failed')).length).toBe(ids.length - 3);
    expect(await bench.store.get(failed.delivery.id)).toMatchObject({ status: 'failed', nextAt: undefined });
    expect((await bench.takeOne()).delivery.receiver).toBe(kept);
    // What is on its way may arrive.
    expect(await bench.record(flying, 'failed')).toEqual({ status: 'failed', late: false, disabled: undefined });
    await bench.pass(LEASE_MS);
    expect((await bench.take()).map(({ delivery }) => delivery.receiver)).toEqual([kept]);
    expect(await bench.store.get(lost.delivery.id)).toMatchObject({ status: 'failed', nextAt: undefined });
    expect((await bench.ids('failed')).length).toBe(ids.length - 1);
    expect(await bench.record(lost)).toMatchObject({ status: 'failed', late: true });
  });

  it.each(['enabled', 'disabled'] as const)(
    'is sent nothing more also where whoever deleted it died, and it was %s',
    async (state) => {
      await using bench = await openWebhookBench();
      const id = await bench.endpoint();
      const ids = await bench.deliver(id, 30);
      if (state === 'disabled') await bench.endpoint({ id, state, reason: 'by_hand', disabledAt: 1 });
      const kept = await bench.endpoint();
      // What waits is ended by a script of its own, which never comes.
      const apply = defineScript<Record<string, unknown>, { deleted?: string[] }>(
        new URL('../../packages/shared/src/webhook/apply-endpoints.lua', import.meta.url),
      );
      const remaining = { id: kept, url: 'https://kept.example/', events: '*', state: 'enabled', secrets: '[]' };
      const decision = { account: 'acme', seq: 100, at: Date.now(), endpoints: [remaining] };
      expect(await apply(bench.redis, bench.prefix, decision)).toEqual({ applied: true, deleted: [id] });
      await bench.deliver(kept);
      // No more at once than others would be sent.
      const taken = (await bench.take({ most: 5 })).map(({ delivery }) => delivery.receiver);
      expect((await bench.ids('failed')).length).toBeLessThanOrEqual(5);
      for (let round = 0; round < 10; round++)
        taken.push(...(await bench.take()).map(({ delivery }) => delivery.receiver));
      expect(taken).toEqual([kept]);
      expect((await bench.ids('failed')).length).toBe(ids.length);
      expect(await bench.redis.exists(`${bench.prefix}dq:${id}`)).toBe(0);
    },
  );

  it.each(['enabled', 'failing', 'disabled', 'catching up'])(
    'leaves nothing behind once its deliveries are swept, where it was %s',
    async (how) => {
      await using bench = await openWebhookBench();
      await bench.remove(await bench.endpoint());
      await bench.deliver({ url: 'https://own.example/' });
      await bench.record(await bench.takeOne());
      await bench.store.sweep(Date.now() + 1);
      const before = await allKeys(bench.redis, bench.prefix);
      const id = await bench.endpoint();
      await bench.deliver(id, 8);
      const [first, second, third] = await bench.take();
      if (!first || !second || !third) throw new Error('few were due');
      await bench.record(second);
      if (how === 'failing') await bench.record(first, 'failed');
      if (how === 'disabled') await bench.record(first, 'gone');
      if (how === 'catching up') {
        await bench.store.requestCatchUp(id, 'acme', 1);
        await bench.store.takeCatchUp(1);
        await bench.store.requestCatchUp(id, 'acme', 2);
      }
      await bench.remove(id);
      await bench.record(third, 'failed');
      await bench.store.make([bench.delivery(id)]);
      await bench.pass(LEASE_MS);
      await bench.take();
      expect(await bench.store.sweep(Date.now() + 1)).toBe(8);
      await bench.redis.del(`${bench.prefix}catching-up:${id}`);
      const left = await allKeys(bench.redis, bench.prefix);
      expect(left.filter((key) => key !== `${bench.prefix}live`)).toEqual(before);
    },
  );
});
