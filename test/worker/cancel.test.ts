import { expect, test } from 'vitest';
import { createRig } from '../support/rig.ts';

test('a cancel in mid-call lets the call end and keeps the paid image', async () => {
  await using rig = await createRig({ simulator: { latencyMs: 400 } });
  const [id = ''] = await rig.submit(['x']);
  await rig.until('the call is under way', async () => (await rig.job(id)).status === 'processing');
  expect((await rig.jobs.cancel(id)).status).toBe('canceling');
  const [job] = await rig.ended([id]);
  expect(job).toMatchObject({ status: 'canceled', attempts: 1, error: undefined });
  expect(job?.output.length).toBe(1);
  expect(job?.cost).toBeGreaterThan(0);
  expect((await rig.store.head(job?.output[0]?.key ?? ''))?.bytes).toBe(job?.output[0]?.bytes);
});

test('a cancel before the call means that no call is made', async () => {
  await using rig = await createRig({ workers: 0 });
  const [id = '', other = ''] = await rig.submit(['x', 'y']);
  expect((await rig.jobs.cancel(id)).status).toBe('canceled');
  await rig.addWorker();
  await rig.ended([other]);
  expect(
    (await rig.upstream.allCalls()).filter((call) => call.endpoint === 'render').map((call) => call.prompt),
  ).toEqual(['y']);
});

test('a canceled job whose image was paid for succeeds at once when it is retried', async () => {
  await using rig = await createRig({ simulator: { latencyMs: 300 } });
  const [id = ''] = await rig.submit(['x']);
  await rig.until('the call is under way', async () => (await rig.job(id)).status === 'processing');
  await rig.jobs.cancel(id);
  await rig.ended([id]);
  expect(await rig.jobs.retry(id, 10)).toBe('succeeded');
  expect(await rig.job(id)).toMatchObject({ status: 'succeeded', attempts: 1 });
  expect((await rig.upstream.ledger()).billed_count).toBe(1);
});

test('a failed job that is retried keeps its id, its cost and its attempts', async () => {
  await using rig = await createRig();
  const fault = await rig.upstream.fault({ effect: { kind: 'status', status: 422 } });
  const [id = ''] = await rig.submit(['x']);
  await rig.ended([id]);
  await rig.upstream.clearFaults(fault);
  expect(await rig.jobs.retry(id, 10)).toBe('queued');
  const [job] = await rig.ended([id]);
  expect(job).toMatchObject({ status: 'succeeded', attempts: 2, error: undefined });
});

test('a canceled job in the middle of its backoff is not called again', async () => {
  await using rig = await createRig({ settings: { RENDER_BACKOFF_MS: '60000' } });
  await rig.upstream.fault({ effect: { kind: 'status', status: 500 } });
  const [id = ''] = await rig.submit(['x']);
  await rig.until('the first attempt has failed', async () => {
    const job = await rig.job(id);
    return job.attempts === 1 && job.status === 'queued';
  });
  expect((await rig.jobs.cancel(id)).status).toBe('canceled');
  expect((await rig.upstream.allCalls()).filter((call) => call.endpoint === 'render').length).toBe(1);
});
