import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { rowJobId } from '@renderyard/shared/batch/row';
import { uncertainKey } from '@renderyard/shared/credits/uncertain-note';
import { newId } from '@renderyard/shared/ids';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { type Installation, startInstallation } from '../support/installation.ts';
import { startRedisInstance } from '../support/redis-instance.ts';

const csv = (rows: number) => `prompt\n${Array.from({ length: rows }, (_, i) => `picture ${i + 1}`).join('\n')}\n`;

async function flushAll(url: string): Promise<void> {
  const client = new Redis(url);
  await client.flushall();
  await client.quit();
}

test('Redis emptied in the middle of batches, nothing restarted: each goes on as it was, and no image is paid for twice', async () => {
  await using redis = await startRedisInstance();
  await using yard = await startInstallation({
    workers: 2,
    redisUrl: redis.url,
    simulator: { latencyMs: 300 },
    env: { SEGMIND_CONCURRENCY: '6', LOCK_MS: '2000' },
  });
  const [canceled, paused, running] = [
    await yard.upload(csv(30)),
    await yard.upload(csv(30)),
    await yard.upload(csv(60)),
  ];
  const billed = async () => (await yard.upstream.ledger()).billed_count;
  await yard.until('some of each are done', async () => (await billed()) > 20);
  await yard.call('POST', `/v1/batches/${canceled.id}/cancel`, {});
  await yard.call('POST', `/v1/batches/${paused.id}/pause`, {});
  await flushAll(redis.url);

  const ended = await yard.batchEnded(running.id, 90_000);
  expect(ended).toMatchObject({ status: 'completed', counts: { total: 60, succeeded: 60 } });
  expect((await yard.batchEnded(canceled.id)).status).toBe('canceled');
  const held = await yard.batch(paused.id);
  expect([held.status, held.hold?.reason]).toEqual(['paused', 'batch_paused']);

  await yard.call('POST', `/v1/batches/${paused.id}/resume`, {});
  expect(await yard.batchEnded(paused.id, 90_000)).toMatchObject({ counts: { succeeded: 30 } });
  const { uncertain } = await yard.credits();
  const done = (await yard.batch(canceled.id)).counts.succeeded;
  expect(await billed()).toBe(60 + 30 + done + uncertain.count);
}, 180_000);

test('workers killed and Redis emptied at once: a new worker goes on, and pays again for calls in flight at most', async () => {
  const slots = 4;
  await using redis = await startRedisInstance();
  await using yard = await startInstallation({
    workers: 2,
    redisUrl: redis.url,
    simulator: { latencyMs: 200 },
    env: { SEGMIND_CONCURRENCY: String(slots), LOCK_MS: '2000' },
  });
  const ended = await yard.upload(csv(3));
  await yard.batchEnded(ended.id);
  const running = await yard.upload(csv(40));
  await yard.until('some are done', async () => (await yard.batch(running.id)).counts.succeeded > 8);
  const killed = yard.workers.splice(0);
  for (const worker of killed) worker.kill('SIGKILL');
  await Promise.all(killed.map((worker) => worker.exited));
  await flushAll(redis.url);
  await yard.startWorker();
  expect(await yard.batchEnded(running.id, 90_000)).toMatchObject({ status: 'completed', counts: { succeeded: 40 } });
  expect(await yard.batch(ended.id)).toMatchObject({ status: 'completed', counts: { succeeded: 3 } });
  const { billed_count: billed } = await yard.upstream.ledger();
  expect(billed).toBeGreaterThanOrEqual(43);
  expect(billed).toBeLessThanOrEqual(43 + slots);
}, 180_000);

test("an operator's hold outlives Redis: nothing is rendered until they resume", async () => {
  await using redis = await startRedisInstance();
  await using yard = await startInstallation({
    workers: 1,
    redisUrl: redis.url,
    simulator: { latencyMs: 100 },
    env: { SEGMIND_CONCURRENCY: '4' },
  });
  const { id } = await yard.upload(csv(20));
  await yard.until('some are done', async () => (await yard.batch(id)).counts.succeeded > 3);
  expect((await yard.call('POST', '/v1/credits/hold', { detail: 'The invoice is being looked at.' })).status).toBe(200);
  await yard.until('no call is in flight', async () => (await yard.batch(id)).counts.processing === 0);
  const { succeeded } = (await yard.batch(id)).counts;
  await flushAll(redis.url);

  await yard.until(
    'the batch is known again',
    async () => (await yard.call('GET', `/v1/batches/${id}`)).status === 200,
  );
  const { holds } = await yard.credits();
  expect(holds).toMatchObject([{ reason: 'operator', detail: 'The invoice is being looked at.' }]);
  expect(await yard.batch(id)).toMatchObject({ hold: { reason: 'operator' }, counts: { succeeded, processing: 0 } });

  expect((await yard.call('POST', '/v1/credits/resume', {})).status).toBe(200);
  expect(await yard.batchEnded(id)).toMatchObject({ status: 'completed', counts: { succeeded: 20 } });
  expect((await yard.upstream.ledger()).billed_count).toBe(20);
}, 120_000);

/** Notes calls of rows as uncertain, as a worker would have: by row, what became of each. */
async function noteCalls(yard: Installation, batch: string, calls: Readonly<Record<number, readonly string[]>>) {
  const signingKey = randomBytes(32);
  const store = createDirectoryStore({ directory: join(yard.folder, 'store'), publicUrl: 'http://a.test', signingKey });
  for (const [row, hows] of Object.entries(calls)) {
    for (const how of hows) {
      const startedAt = Date.now() - 3_600_000;
      const known = { job: rowJobId(batch, Number(row)), worker: 'wrk_gone', class: 'a', guess: 7000, estimate: 7000 };
      const note = { ...known, seq: 1, how, at: startedAt, started_at: startedAt, resolve_after: startedAt + 1000 };
      await store.put(uncertainKey(newId('call')), Buffer.from(JSON.stringify(note)), {
        contentType: 'application/json',
      });
    }
  }
  await store.close();
}

/** The rows of an ended batch, whose sums are what the batch says. */
async function rowsInOrder(yard: Installation, id: string) {
  const { cost, uncertain } = await yard.batchEnded(id, 60_000);
  const rows = (await yard.results(id)).toSorted((a, b) => a.row - b.row);
  expect(rows.reduce((sum, row) => sum + row.uncertain, 0)).toBe(uncertain);
  expect(rows.reduce((sum, row) => sum + row.cost, 0)).toBeCloseTo(cost, 9);
  return rows;
}

test('rows go on with the calls whose outcome was unknown: they count in their results, and against UNCERTAIN_RETRIES', async () => {
  await using redis = await startRedisInstance();
  await using yard = await startInstallation({
    workers: 0,
    redisUrl: redis.url,
    env: { UNCERTAIN_RETRIES: '1', RENDER_ATTEMPTS: '3' },
  });
  const { id } = await yard.upload(csv(5));
  await noteCalls(yard, id, {
    1: ['timeout', 'lost_worker'],
    2: ['reset'],
    4: ['status_502', 'status_503'],
    5: ['status_502', 'status_502', 'status_502'],
  });
  await flushAll(redis.url);
  const worker = await yard.startWorker();
  const rows = await rowsInOrder(yard, id);
  const unknown = { status: 'failed', error: { code: 'outcome_uncertain' } };
  expect(rows).toMatchObject([
    { ...unknown, attempts: 2, uncertain: 2 },
    { status: 'succeeded', attempts: 2, uncertain: 1 },
    { status: 'succeeded', attempts: 1, uncertain: 0 },
    { status: 'succeeded', attempts: 3, uncertain: 2 },
    { ...unknown, attempts: 3, uncertain: 3 },
  ]);
  expect((await yard.upstream.ledger()).billed_count).toBe(3);

  // Retried by hand, and Redis emptied again: what the results tell of is not counted twice, and rows may be called.
  yard.workers.splice(0);
  worker.kill('SIGKILL');
  await worker.exited;
  expect((await yard.call('POST', `/v1/batches/${id}/retry`, {})).status).toBeLessThan(300);
  await noteCalls(yard, id, { 5: ['timeout'] });
  await flushAll(redis.url);
  await yard.startWorker();
  const again = await rowsInOrder(yard, id);
  expect([again[0], again[4]]).toMatchObject([
    { status: 'succeeded', attempts: 3, uncertain: 2 },
    { status: 'succeeded', attempts: 5, uncertain: 4 },
  ]);
  expect((await yard.upstream.ledger()).billed_count).toBe(5);
}, 180_000);
