import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';

test('credits for the floor and two and a half images, three workers of eight slots: two are rendered, none fails, the rest says why it waits and goes on after a top-up', async () => {
  const price = 0.0138;
  await using yard = await startInstallation({
    workers: 3,
    simulator: { balance: 1 + 2.5 * price, latencyMs: 100 },
    env: { CREDIT_FLOOR: '1', CREDIT_ESTIMATE: String(price), SEGMIND_CONCURRENCY: '24', WORKER_CONCURRENCY: '8' },
  });
  const ids = await yard.submit(
    Array.from({ length: 30 }, (_, i) => `picture ${i}`),
    { width: 1024, height: 1024 },
  );
  await yard.until('credits are held and nothing is reserved', async () => {
    const { holds, reserved } = await yard.credits();
    return holds.some((hold) => hold.reason === 'credits') && reserved === 0;
  });
  const held = await yard.jobs(ids);
  expect(held.filter((job) => job.status === 'succeeded').length).toBe(2);
  const waiting = held.filter((job) => job.status === 'queued');
  expect(waiting.length).toBe(28);
  expect(waiting.every((job) => job.hold?.reason === 'credits' && job.attempts === 0)).toBe(true);
  expect((await yard.upstream.ledger()).balance).toBeGreaterThanOrEqual(1);

  await yard.upstream.topUp(1);
  const jobs = await yard.ended(ids);
  expect(jobs.every((job) => job.status === 'succeeded' && job.hold === null)).toBe(true);
  expect((await yard.upstream.ledger()).billed_count).toBe(30);
}, 60_000);
