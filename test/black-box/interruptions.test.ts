import { beforeAll, expect, test } from 'vitest';
import { YARD_MS } from './yard/ground.ts';
import { until } from './yard/until.ts';
import { type Json, SMALL, startYard, type Yard } from './yard/yard.ts';

const ROWS = 40;
/** What the settings allow a worker for calls in flight, and two phases around it. */
const GRACE_MS = 25_000;

let yard: Yard;
beforeAll(async () => {
  // Slow enough that there is a middle to be interrupted in.
  yard = await startYard({
    workers: 2,
    settings: { SEGMIND_CONCURRENCY: '4' },
    simulator: { SIMULATOR_LATENCY_MS: '250' },
  });
  return () => yard[Symbol.asyncDispose]();
}, YARD_MS);

const upload = (name: string): Promise<Json> => {
  const csv = ['prompt', ...Array.from({ length: ROWS }, (_, i) => `${name} ${i}`)].join('\n');
  const defaults = new URLSearchParams({ name, defaults: JSON.stringify(SMALL) });
  return yard.json('POST', `/v1/batches?${defaults}`, { body: csv, headers: { 'content-type': 'text/csv' } });
};
let last: Json;
/** The API may be away for a moment. */
const batchOf = async (id: string): Promise<Json> => {
  const answer = await yard.call('GET', `/v1/batches/${id}`).catch(() => undefined);
  return answer?.status === 200 ? answer.json() : undefined;
};
const midway = (id: string) =>
  until('a quarter of the rows has ended', async () => ((await batchOf(id))?.counts.succeeded ?? 0) >= ROWS / 4);
const completed = (id: string): Promise<Json> =>
  until(
    'the batch is completed',
    async () => {
      const batch = await batchOf(id);
      last = batch;
      return batch?.status === 'completed' && batch;
    },
    { patienceMs: 20_000, state: () => JSON.stringify([last, yard.workers.map((w) => w.lines.slice(-5))]) },
  );
const billedFor = async (name: string) => {
  const prompts = (await yard.ledger()).map(({ prompt }) => prompt).filter((prompt) => prompt.startsWith(`${name} `));
  return { calls: prompts.length, rows: new Set(prompts).size };
};

test('a worker that is killed loses no row, and what it may have paid for is counted', async () => {
  const { id } = await upload('killed');
  await midway(id);
  const victim = yard.workers.at(-1);
  await victim?.signal('SIGKILL');
  expect(await victim?.exited).toBe(137);
  await yard.startWorker();
  const batch = await completed(id);
  expect(batch.counts).toMatchObject({ succeeded: ROWS, failed: 0 });
  const billed = await billedFor('killed');
  expect(billed.rows).toBe(ROWS);
  // Only a call that was in flight when its worker died can have been paid twice, and each such is told.
  expect(billed.calls - ROWS).toBeLessThanOrEqual(batch.uncertain);
  expect(batch.uncertain).toBeLessThanOrEqual(4);
}, 150_000);

test('a worker that is told to stop ends its calls within its grace, with code 0, and nothing is paid twice', async () => {
  const { id } = await upload('stopped');
  await midway(id);
  const leaver = yard.workers.at(-1);
  const begun = performance.now();
  await leaver?.stop(GRACE_MS + 10_000);
  expect(await leaver?.exited).toBe(0);
  expect(performance.now() - begun).toBeLessThan(GRACE_MS);
  await yard.startWorker();
  const batch = await completed(id);
  expect(batch).toMatchObject({ counts: { succeeded: ROWS, failed: 0 }, uncertain: 0 });
  expect(await billedFor('stopped')).toEqual({ calls: ROWS, rows: ROWS });
}, 150_000);

test('an API that is told to stop ends the streams and waits that are open, and the next one goes on', async () => {
  const { id } = await upload('replaced');
  const stream = await yard.call('GET', `/v1/batches/${id}/events`);
  const streamed = stream.text().then(
    () => 'ended',
    () => 'cut',
  );
  await midway(id);
  const begun = performance.now();
  await yard.api.stop(GRACE_MS);
  expect(await yard.api.exited).toBe(0);
  expect(performance.now() - begun).toBeLessThan(15_000);
  expect(await streamed).toBe('ended');
  await yard.restartApi();
  const batch = await completed(id);
  expect(batch).toMatchObject({ counts: { succeeded: ROWS, failed: 0 }, uncertain: 0 });
  expect(await billedFor('replaced')).toEqual({ calls: ROWS, rows: ROWS });
}, 150_000);

test('an API that is killed has lost nothing that it said yes to', async () => {
  const { id } = await upload('survives');
  await yard.api.signal('SIGKILL');
  expect(await yard.api.exited).toBe(137);
  await yard.restartApi();
  const batch = await completed(id);
  expect(batch).toMatchObject({ counts: { succeeded: ROWS, failed: 0 }, uncertain: 0 });
  expect(await billedFor('survives')).toEqual({ calls: ROWS, rows: ROWS });
}, 150_000);
