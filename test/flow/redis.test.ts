import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';
import { startRedisInstance } from '../support/redis-instance.ts';

test('Redis killed and started again in the middle of a run: every job ends, and each is paid for once', async () => {
  await using redis = await startRedisInstance({ persistence: 'aof' });
  await using yard = await startInstallation({
    workers: 2,
    redisUrl: redis.url,
    simulator: { latencyMs: 300 },
    env: { SEGMIND_CONCURRENCY: '6', LOCK_MS: '10000' },
  });
  const ids = await yard.submit(Array.from({ length: 60 }, (_, i) => `picture ${i}`));
  await yard.until('some are done', async () => (await yard.upstream.ledger()).billed_count > 10);
  // What is acknowledged is on disk within a second; give none of it a reason to be lost but the kill itself.
  redis.kill('SIGKILL');
  await redis.restart();
  const jobs = await yard.ended(ids, 90_000);
  expect(jobs.every((job) => job.status === 'succeeded')).toBe(true);
  const { uncertain } = await yard.credits();
  expect((await yard.upstream.ledger()).billed_count).toBe(60 + uncertain.count);
}, 150_000);

test('Redis frozen for a while delays the work and changes nothing else', async () => {
  await using redis = await startRedisInstance();
  await using yard = await startInstallation({
    workers: 1,
    redisUrl: redis.url,
    simulator: { latencyMs: 200 },
    env: { SEGMIND_CONCURRENCY: '4', LOCK_MS: '30000' },
  });
  const ids = await yard.submit(Array.from({ length: 20 }, (_, i) => `picture ${i}`));
  await yard.until('some are done', async () => (await yard.upstream.ledger()).billed_count > 3);
  redis.kill('SIGSTOP');
  const before = (await yard.upstream.ledger()).billed_count;
  // Calls in flight end; without Redis no other may begin.
  await yard.until('the calls in flight have ended', async () =>
    (await yard.upstream.allCalls()).every((call) => call.answer !== 'pending'),
  );
  expect((await yard.upstream.ledger()).billed_count).toBeLessThanOrEqual(before + 4);
  redis.kill('SIGCONT');
  const jobs = await yard.ended(ids);
  expect(jobs.every((job) => job.status === 'succeeded' && job.attempts === 1)).toBe(true);
  expect((await yard.upstream.ledger()).billed_count).toBe(20);
}, 90_000);

test('an emptied Redis is noticed: without a restart new jobs are taken and rendered, above the floor', async () => {
  await using redis = await startRedisInstance();
  await using yard = await startInstallation({
    workers: 2,
    redisUrl: redis.url,
    simulator: { latencyMs: 300, balance: 5 },
    env: { SEGMIND_CONCURRENCY: '4', CREDIT_FLOOR: '1', LOCK_MS: '2000' },
  });
  await yard.submit(Array.from({ length: 12 }, (_, i) => `before ${i}`));
  await yard.until('some are done', async () => (await yard.upstream.ledger()).billed_count > 2);
  const client = new Redis(redis.url);
  await client.flushall();
  await client.quit();
  let ids: string[] = [];
  await yard.until('the API takes jobs again', async () => {
    ids = await yard.submit(['after 1', 'after 2', 'after 3']).catch(() => []);
    return ids.length === 3;
  });
  const jobs = await yard.ended(ids);
  expect(jobs.every((job) => job.status === 'succeeded')).toBe(true);
  // The upstream counts to ten decimals, the books to nine.
  await yard.until('the balance is that of the upstream', async () => {
    const [ours, theirs] = [(await yard.credits()).balance ?? 0, (await yard.upstream.ledger()).balance];
    return Math.abs(ours - theirs) < 1e-8;
  });
}, 90_000);
