import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';

const OLD = 'SG_00000000000000aa';
const NEW = 'SG_00000000000000bb';
const ROWS = 1000;
const CONCURRENCY = 16;

test('a key that is refused in the middle of a batch of 1,000 rows: all waits, no row fails, and another key in the file ends it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'renderyard-key-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'key');
  await writeFile(file, `${OLD}\n`);
  await using yard = await startInstallation({
    workers: 2,
    simulator: { keys: [OLD], balance: 100, latencyMs: 30 },
    env: {
      SEGMIND_API_KEY: '',
      SEGMIND_API_KEY_FILE: file,
      SEGMIND_CONCURRENCY: String(CONCURRENCY),
      SEGMIND_RPM: '60000',
      // The replaced file is seen long before.
      CREDIT_PROBE_MS: '60000',
    },
  });
  const csv = `prompt\n${Array.from({ length: ROWS }, (_, i) => `picture ${i + 1}`).join('\n')}\n`;
  const { id } = await yard.upload(csv);
  await yard.until('some are done', async () => (await yard.batch(id)).counts.succeeded > ROWS / 4);
  await yard.upstream.keys({ refuse: [OLD] });
  await yard.until('all waits and nothing is in flight', async () => {
    const { holds, reserved } = await yard.credits();
    return holds.some((hold) => hold.reason === 'unauthorized') && reserved === 0;
  });

  const refused = await yard.upstream.allCalls();
  const first = refused.findIndex((call) => call.endpoint === 'render' && call.status === 401);
  const after = refused.slice(first);
  const renders = after.filter((call) => call.endpoint === 'render');
  // Those whose requests were on their way, or took the place of a call that ended before the hold stood.
  expect(renders.length).toBeGreaterThan(0);
  expect(renders.length).toBeLessThanOrEqual(CONCURRENCY);
  const held = await yard.batch(id);
  expect(held).toMatchObject({ status: 'running', hold: { reason: 'unauthorized' }, counts: { failed: 0 } });
  expect(held.counts.succeeded).toBeLessThan(ROWS);
  expect(held.counts.succeeded).toBe((await yard.upstream.ledger()).billed_count);

  await yard.upstream.keys({ accept: [NEW] });
  await writeFile(`${file}.new`, `${NEW}\n`);
  await rename(`${file}.new`, file);
  const replacedAt = Date.now();
  await yard.until('the hold has ended', async () => (await yard.credits()).holds.length === 0);
  expect(Date.now() - replacedAt).toBeLessThan(10_000);
  const batch = await yard.batchEnded(id);
  expect(batch).toMatchObject({ status: 'completed', hold: null, uncertain: 0 });
  expect(batch.counts).toMatchObject({ total: ROWS, succeeded: ROWS, failed: 0, canceled: 0 });
  expect((await yard.upstream.ledger()).billed_count).toBe(ROWS);
  const rows = await yard.results(id);
  expect(rows.length).toBe(ROWS);
  expect(rows.reduce((sum, row) => sum + row.attempts, 0)).toBe(ROWS);
  // The other worker may have had a few calls on their way with the old key.
  const calls = await yard.upstream.allCalls();
  const all401 = calls.filter((call) => call.endpoint === 'render' && call.status === 401).length;
  expect(all401).toBeLessThanOrEqual(2 * CONCURRENCY);
  expect(calls.filter((call) => call.endpoint === 'render' && call.status !== 401).length).toBe(ROWS);
  for (const { logs } of [...yard.workers, yard.api]) expect(JSON.stringify(logs)).not.toMatch(/SG_0000/);
}, 120_000);
