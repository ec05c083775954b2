import type { Redis as RedisConnection } from '@renderyard/shared/redis/connect';
import { stopPhases } from '@renderyard/worker/stop-worker';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';

type Deps = Parameters<typeof stopPhases>[0];

test('a worker that stops says that it is gone after the last thing that it writes, and before Redis is closed', async () => {
  const redis = new Redis(inject('redisUrl'));
  const did: string[] = [];
  const does = (what: string) => async () => {
    await redis.ping();
    did.push(what);
  };
  const phases = stopPhases({
    graceMs: 1000,
    stopping: new AbortController(),
    abort: new AbortController(),
    tickets: { quiet: does('quiet'), idle: does('idle'), close: does('tickets') } as unknown as Deps['tickets'],
    webhooking: { quiet: does('webhooks'), close: does('webhooks') } as unknown as Deps['webhooking'],
    calls: { stop: () => undefined } as unknown as Deps['calls'],
    redis: redis as RedisConnection,
    watchers: { phase: { name: 'watchers', deadlineMs: 500, stop: () => undefined } },
    loops: [{ stop: does('upkeep') }, { stop: does('keeping') }],
    roster: { stop: does('roster') },
    close: does('store'),
  });
  for (const phase of phases) await phase.stop();
  expect(did.slice(-2)).toEqual(['roster', 'store']);
  expect(did.slice(0, -2)).toEqual(expect.arrayContaining(['upkeep', 'keeping', 'webhooks', 'tickets']));
  await expect.poll(() => redis.status).toBe('end');
});
