import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';

test('a worker killed ten times under load loses no job, and its lost calls, the uncertain ones and the extra bills agree', async () => {
  await using yard = await startInstallation({
    workers: 1,
    simulator: { latencyMs: 150, latencyP95Ms: 300 },
    env: { SEGMIND_CONCURRENCY: '8', UNCERTAIN_RETRIES: '20', RENDER_ATTEMPTS: '30' },
  });
  const ids = await yard.submit(Array.from({ length: 150 }, (_, i) => `picture ${i}`));
  for (let kill = 0; kill < 10; kill++) {
    await yard.until('calls are in flight', async () => (await yard.credits()).reserved > 0);
    const worker = yard.workers.pop();
    worker?.kill('SIGKILL');
    await worker?.exited;
    await yard.startWorker();
  }
  const jobs = await yard.ended(ids, 150_000);
  expect(jobs.every((job) => job.status === 'succeeded')).toBe(true);

  const billed = await yard.upstream.wholeLedger();
  const { uncertain, reserved } = await yard.credits();
  const used = new Set(jobs.map((job) => job.output[0]?.sha256));
  expect(used.size).toBe(150);
  // Every call that was billed and gave no image to a job is listed as uncertain, by its job, and nothing else is.
  const extra = billed.length - jobs.length;
  expect(reserved).toBe(0);
  expect(uncertain.calls.every((call) => call.how === 'lost_worker')).toBe(true);
  expect(jobs.reduce((sum, job) => sum + job.uncertain, 0)).toBe(uncertain.count);
  expect(jobs.reduce((sum, job) => sum + job.attempts, 0)).toBe(jobs.length + uncertain.count);
  // A call whose worker died before the request left is uncertain, too, and was not billed.
  const sent = (await yard.upstream.allCalls()).filter((call) => call.endpoint === 'render').length;
  expect(billed.length).toBe(sent);
  expect(extra).toBeLessThanOrEqual(uncertain.count);
  expect(uncertain.count - extra).toBeLessThanOrEqual(10);
}, 240_000);
