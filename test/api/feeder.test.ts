import { createFeeder } from '@renderyard/api/jobs/feeder';
import { systemClock } from '@renderyard/shared/clock';
import { createTicketQueue, RENDER_QUEUE } from '@renderyard/shared/job/ticket-queue';
import { createLogger } from '@renderyard/shared/logger';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { queuePrefix } from '@renderyard/shared/redis/keys';
import { expect, inject, test } from 'vitest';
import { openBench } from '../redis/bench.ts';
import { openRedisProxy } from '../support/redis-proxy.ts';

const logger = createLogger({ service: 'test', level: 'silent' });

test('who submits a job does not wait for a slow queue, and the next job is queued when it is quick again', async () => {
  await using bench = await openBench();
  const { jobs } = bench;
  await using proxy = await openRedisProxy(inject('redisUrl'));
  // Its commands wait without limit, as no others do: what does not end by itself is waited for, or not.
  const redis = connectRedis(proxy.url, 'worker', logger);
  const queue = createTicketQueue({ redis, prefix: queuePrefix(bench.name) });
  try {
    const feedQueue = createFeeder({ jobs, queue, window: 10, clock: systemClock, logger });
    const held = proxy.hold(`:${RENDER_QUEUE}:wait`);
    await bench.job();
    const fed = feedQueue();
    await held;
    await fed;
    const job = await bench.job();
    await feedQueue();
    proxy.release();
    await feedQueue();
    expect(await queue.has({ job, generation: 1 })).toBe(true);
  } finally {
    await queue.close();
    redis.disconnect();
  }
});
