import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';

const prompts = (n: number) => Array.from({ length: n }, (_, i) => `picture ${i}`);

test('a worker that is told to stop lets its calls end, loses nothing and leaves nothing uncertain', async () => {
  await using yard = await startInstallation({
    workers: 1,
    simulator: { latencyMs: 800 },
    env: { SEGMIND_CONCURRENCY: '6' },
  });
  const ids = await yard.submit(prompts(12));
  await yard.until(
    'calls are in flight',
    async () => (await yard.jobs(ids)).filter((job) => job.status === 'processing').length >= 4,
  );
  const worker = yard.workers.pop();
  const end = await worker?.stop();
  expect(end?.code).toBe(0);
  const credits = await yard.credits();
  expect(credits).toMatchObject({ reserved: 0, uncertain: { count: 0 } });
  const { billed_count } = await yard.upstream.ledger();
  expect((await yard.jobs(ids)).filter((job) => job.status === 'succeeded').length).toBe(billed_count);
  await yard.startWorker();
  await yard.ended(ids);
  expect((await yard.upstream.ledger()).billed_count).toBe(12);
});

test('calls that outlast the grace are broken off and counted as uncertain', async () => {
  await using yard = await startInstallation({
    workers: 1,
    env: { SHUTDOWN_GRACE_MS: '300', SEGMIND_CONCURRENCY: '3' },
  });
  await yard.upstream.fault({ effect: { kind: 'hang', billed: true }, times: 3 });
  const ids = await yard.submit(prompts(3));
  await yard.until('three calls hang', async () => (await yard.upstream.ledger()).billed_count === 3);
  await yard.workers.pop()?.stop();
  expect((await yard.credits()).uncertain.calls.map((call) => call.how)).toEqual(['shutdown', 'shutdown', 'shutdown']);
  await yard.startWorker();
  const jobs = await yard.ended(ids);
  expect(jobs.every((job) => job.status === 'succeeded' && job.uncertain === 1 && job.attempts === 2)).toBe(true);
});

test('a frozen worker keeps no slot from others, and what it brings back later is counted and not stored twice', async () => {
  await using yard = await startInstallation({
    workers: 1,
    // Long enough for a busy machine to freeze the worker before they end.
    simulator: { latencyMs: 2000 },
    env: { SEGMIND_CONCURRENCY: '2', UNCERTAIN_RETRIES: '5' },
  });
  const ids = await yard.submit(prompts(2));
  await yard.until(
    'two calls are in flight',
    async () =>
      (await yard.credits()).reserved > 0 &&
      (await yard.upstream.allCalls()).filter((call) => call.endpoint === 'render').length === 2,
  );
  const frozen = yard.workers[0];
  frozen?.kill('SIGSTOP');
  await yard.startWorker();
  const jobs = await yard.ended(ids, 60_000);
  expect(jobs.every((job) => job.status === 'succeeded')).toBe(true);
  frozen?.kill('SIGCONT');
  await yard.until('the frozen worker has told what it had', async () => (await yard.credits()).uncertain.count === 0);
  const after = await yard.jobs(ids);
  expect(after.map((job) => job.output)).toEqual(jobs.map((job) => job.output));
  const { spent } = await yard.credits();
  const billed = await yard.upstream.wholeLedger();
  expect(billed.length).toBe(4);
  expect(spent).toBeCloseTo(
    billed.reduce((sum, entry) => sum + entry.cost, 0),
    7,
  );
  expect(after.reduce((sum, job) => sum + job.cost, 0)).toBeCloseTo(spent, 7);
}, 120_000);
