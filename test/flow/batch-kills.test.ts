import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';

const csvOf = (rows: number) => `prompt\n${Array.from({ length: rows }, (_, i) => `picture ${i + 1}`).join('\n')}\n`;

test('workers killed ten times in the middle of a batch lose no row, and what was billed, the rows and the uncertain calls agree', async () => {
  await using yard = await startInstallation({
    workers: 2,
    simulator: { latencyMs: 150, latencyP95Ms: 300 },
    env: { SEGMIND_CONCURRENCY: '8', UNCERTAIN_RETRIES: '20', RENDER_ATTEMPTS: '30' },
  });
  const { id } = await yard.upload(csvOf(200));
  for (let kill = 0; kill < 10; kill++) {
    await yard.until('calls are in flight', async () => (await yard.batch(id)).counts.processing > 0);
    const worker = yard.workers.shift();
    worker?.kill('SIGKILL');
    await worker?.exited;
    await yard.startWorker();
  }
  const batch = await yard.batchEnded(id, 150_000);
  expect(batch).toMatchObject({
    status: 'completed',
    counts: { total: 200, succeeded: 200, failed: 0, processing: 0 },
  });

  const rows = await yard.results(id);
  expect(rows.map((row) => row.row)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  expect(rows.map((row) => row.input.prompt)).toEqual(Array.from({ length: 200 }, (_, i) => `picture ${i + 1}`));
  expect(new Set(rows.map((row) => row.output[0]?.sha256)).size).toBe(200);
  const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + of(row), 0);
  const { uncertain, reserved } = await yard.credits();
  expect(reserved).toBe(0);
  expect(uncertain.calls.every((call) => call.how === 'lost_worker')).toBe(true);
  expect(sum((row) => row.uncertain)).toBe(uncertain.count);
  expect(batch.uncertain).toBe(uncertain.count);
  expect(sum((row) => row.attempts)).toBe(200 + uncertain.count);
  expect(sum((row) => row.cost)).toBeCloseTo(batch.cost, 6);
  // Every call that was billed and gave no image to a row is listed as uncertain, by its row, and nothing else is.
  const billed = await yard.upstream.wholeLedger();
  const extra = billed.length - 200;
  expect(extra).toBeLessThanOrEqual(uncertain.count);
  // A call whose worker died before the request left is uncertain, too, and was not billed.
  expect(uncertain.count - extra).toBeLessThanOrEqual(10);
}, 240_000);

test('a worker that is stopped in the middle of a batch ends its calls first: nothing is uncertain, and the next goes on', async () => {
  await using yard = await startInstallation({
    workers: 1,
    simulator: { latencyMs: 400 },
    env: { SEGMIND_CONCURRENCY: '6' },
  });
  const { id } = await yard.upload(csvOf(40));
  for (let stop = 0; stop < 2; stop++) {
    await yard.until('calls are in flight', async () => (await yard.batch(id)).counts.processing > 2);
    const { code } = (await yard.workers.pop()?.stop()) ?? {};
    expect(code).toBe(0);
    expect((await yard.batch(id)).counts.processing).toBe(0);
    await yard.startWorker();
  }
  const batch = await yard.batchEnded(id);
  expect(batch).toMatchObject({ status: 'completed', uncertain: 0, counts: { succeeded: 40 } });
  expect((await yard.results(id)).every((row) => row.attempts === 1)).toBe(true);
  expect((await yard.upstream.ledger()).billed_count).toBe(40);
}, 120_000);
