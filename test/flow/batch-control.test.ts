import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';

const csvOf = (rows: number) => `prompt\n${Array.from({ length: rows }, (_, i) => `picture ${i + 1}`).join('\n')}\n`;

test('no call arrives upstream after a cancel was answered; calls in flight keep their images, and the rest costs nothing', async () => {
  await using yard = await startInstallation({
    workers: 3,
    simulator: { latencyMs: 300 },
    env: { SEGMIND_CONCURRENCY: '12' },
  });
  const { id } = await yard.upload(csvOf(500));
  await yard.until('some are done', async () => (await yard.batch(id)).counts.succeeded > 20);
  const answer = await yard.call('POST', `/v1/batches/${id}/cancel`);
  const answeredAt = Date.now();
  expect(answer.status).toBe(200);

  const batch = await yard.batchEnded(id);
  const { succeeded, canceled, failed } = batch.counts;
  expect(batch.status).toBe('canceled');
  expect(succeeded + canceled).toBe(500);
  expect(failed).toBe(0);
  const calls = (await yard.upstream.allCalls()).filter((call) => call.endpoint === 'render');
  // A call that was admitted before the answer may still be on its way: half a second is a long way on one machine.
  expect(Math.max(...calls.map((call) => Date.parse(call.at)))).toBeLessThan(answeredAt + 500);
  expect(calls.length).toBe(succeeded);
  expect((await yard.upstream.ledger()).billed_count).toBe(succeeded);
  const rows = await yard.results(id);
  expect(rows.filter((row) => row.status === 'succeeded').length).toBe(succeeded);
  expect(rows.filter((row) => row.status === 'canceled').length).toBe(canceled);
}, 120_000);

test('a paused batch makes no calls while others go on, and its rows are rendered once it is resumed', async () => {
  await using yard = await startInstallation({
    workers: 2,
    simulator: { latencyMs: 100 },
    env: { SEGMIND_CONCURRENCY: '6' },
  });
  const [first, second] = [await yard.upload(csvOf(120)), await yard.upload(csvOf(60))];
  await yard.until('both have begun', async () =>
    (await Promise.all([yard.batch(first.id), yard.batch(second.id)])).every((batch) => batch.counts.succeeded > 3),
  );
  expect((await yard.call('POST', `/v1/batches/${first.id}/pause`)).status).toBe(200);
  await yard.until('no call of it is in flight', async () => (await yard.batch(first.id)).counts.processing === 0);
  const paused = await yard.batch(first.id);
  expect(paused).toMatchObject({ status: 'paused', hold: { reason: 'batch_paused' } });
  await yard.batchEnded(second.id);
  expect((await yard.batch(first.id)).counts).toEqual(paused.counts);

  expect((await yard.call('POST', `/v1/batches/${first.id}/resume`)).status).toBe(200);
  const batch = await yard.batchEnded(first.id);
  expect(batch).toMatchObject({ status: 'completed', counts: { succeeded: 120 } });
  expect((await yard.upstream.ledger()).billed_count).toBe(180);
}, 120_000);

test('two batches share the slots evenly, and a single job takes the next slot that is free', async () => {
  await using yard = await startInstallation({
    workers: 2,
    simulator: { latencyMs: 150 },
    env: { SEGMIND_CONCURRENCY: '8' },
  });
  const big = await yard.upload(csvOf(400));
  await yard.until('the first has begun', async () => (await yard.batch(big.id)).counts.succeeded > 20);
  const small = await yard.upload(csvOf(80));
  const singles = await yard.ended(await yard.submit(Array.from({ length: 5 }, (_, i) => `single ${i}`)));
  await yard.batchEnded(small.id);
  expect((await yard.call('POST', `/v1/batches/${big.id}/cancel`)).status).toBe(200);
  await yard.batchEnded(big.id);

  const begun = (await Promise.all([big, small].map(({ id }) => yard.results(id)))).map((rows) =>
    rows.flatMap((row) => (row.started_at === null ? [] : [Date.parse(row.started_at)])),
  );
  const between = (times: readonly number[], from: number, to: number) =>
    times.filter((time) => time > from && time < to).length;
  for (const single of singles) {
    const [from, to] = [Date.parse(single.created_at), Date.parse(single.started_at ?? '')];
    // Those that were admitted while the single was on its way through the queue, of eight slots.
    expect(between(begun.flat(), from, to)).toBeLessThanOrEqual(16);
  }
  // In the middle of the small one, when neither the first's tickets nor its own end tip the scales.
  const [ofBig = [], ofSmall = []] = begun.map((times) => times.sort((x, y) => x - y));
  const beside = between(ofBig, ofSmall[15] ?? 0, ofSmall[65] ?? 0);
  expect(beside).toBeGreaterThan(30);
  expect(beside).toBeLessThan(80);
}, 120_000);

test('a batch whose first rows all fail alike stops and asks; failed rows are retried under their own names', async () => {
  await using yard = await startInstallation({
    workers: 1,
    env: { SEGMIND_CONCURRENCY: '4' },
  });
  await yard.upstream.fault({ effect: { kind: 'status', status: 422, message: 'sampler is not known' } });
  const { id } = await yard.upload(csvOf(60));
  await yard.until('it has stopped, and no call of it is in flight', async () => {
    const { status, counts } = await yard.batch(id);
    return status === 'paused' && counts.processing === 0;
  });
  const stopped = await yard.batch(id);
  expect(stopped.hold).toMatchObject({ reason: 'batch_failing', detail: expect.stringContaining('upstream_rejected') });
  expect(stopped.counts.failed).toBeGreaterThanOrEqual(20);
  expect(stopped.counts.failed).toBeLessThan(30);

  await yard.upstream.clearFaults();
  expect((await yard.call('POST', `/v1/batches/${id}/resume`)).status).toBe(200);
  const ended = await yard.batchEnded(id);
  expect(ended.counts.failed).toBe(stopped.counts.failed);

  const failedRows = (await yard.results(id)).filter((row) => row.status === 'failed');
  expect((await yard.call('POST', `/v1/batches/${id}/retry`)).ok).toBe(true);
  const again = await yard.batchEnded(id);
  expect(again).toMatchObject({ status: 'completed', counts: { succeeded: 60, failed: 0 } });
  const rows = await yard.results(id);
  for (const row of failedRows)
    expect(rows[row.row - 1]).toMatchObject({ status: 'succeeded', attempts: 2, input: row.input });
}, 120_000);
