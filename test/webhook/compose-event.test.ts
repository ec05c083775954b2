import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { viewEvent } from '@renderyard/api/credits/event-view';
import { recordKey, rowsKey } from '@renderyard/shared/batch/batch-layout';
import { readBatchState } from '@renderyard/shared/batch/batch-state';
import { rowJobId } from '@renderyard/shared/batch/row';
import { StoreError } from '@renderyard/shared/store/store-error';
import { BODY_BYTES } from '@renderyard/shared/webhook/fit-body';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failed, type GivenBatch } from '../batch-results/batch-bench.ts';
import { batchHash, type ComposeBench, eventOf, jobHash, openComposeBench } from './composing.ts';

let shared: ComposeBench;
beforeAll(async () => {
  shared = await openComposeBench();
});
afterAll(() => shared[Symbol.asyncDispose]());

const BAD = { code: 'bad_image', detail: 'Cut off.' } as const;
const PROMPT = `A fox, ${'très '.repeat(2500)}small`;
const FOXES: GivenBatch = {
  columns: ['prompt', 'Colour'],
  rows: [{ id: 'fox', values: [PROMPT, 'red'], input: { steps: 20 } }, { values: ['A bear', ''] }],
  decision: { name: 'Foxes', metadata: { for: 'autumn' }, budget: 5_000_000_000 },
};

async function runBatch(bench: ComposeBench, given: GivenBatch = FOXES) {
  const batch = await bench.put(given);
  await bench.open(batch);
  await bench.askForRows(batch.id);
  return batch;
}

/** What is told last, as it was composed. */
async function lastBody(bench: ComposeBench) {
  const event = (await bench.told()).at(-1);
  if (event === undefined) throw new Error('Nothing was told.');
  const text = await bench.compose(event);
  expect(Buffer.byteLength(text)).toBeLessThan(BODY_BYTES);
  return { event, body: JSON.parse(text), at: new Date(event.at).toISOString() };
}

describe('what is told is what a GET shows', () => {
  test('of a job that succeeded, with its metadata and its own webhook', async () => {
    const { api } = shared;
    const { json } = await api.post('/v1/jobs', { input: { prompt: 'A fox' }, metadata: { for: ['autumn', 7] } });
    const own = { webhook: 'https://example.com/hook', webhook_events: ' job.succeeded ' };
    await api.redis.hset(`${api.prefix}job:${json.id}`, own);
    await api.succeed(json.id);
    const { event, body, at } = await lastBody(shared);
    expect(event.to).toContainEqual({ url: 'https://example.com/hook' });
    const shown = (await api.get(`/v1/jobs/${json.id}`)).json;
    expect(body).toEqual({ type: 'job.succeeded', timestamp: at, data: shown });
    expect(shown).toMatchObject({ status: 'succeeded', ended_at: at, input: { prompt: 'A fox' }, hold: null });
    expect(body.data).toMatchObject({ webhook: 'https://example.com/hook', webhook_events_filter: ['job.succeeded'] });
  });

  test('of a job that failed, also once it was taken up again', async () => {
    const { api } = shared;
    const { id } = await api.submit();
    await api.fail(id);
    const shown = (await api.get(`/v1/jobs/${id}`)).json;
    expect((await api.post(`/v1/jobs/${id}/retry`)).status).toBe(202);
    const { body } = await lastBody(shared);
    expect(body).toMatchObject({ type: 'job.failed', data: { status: 'failed', error: { code: 'bad_image' } } });
    expect(body.data).toEqual(shown);
  });

  test('of rows, with what they were given, also a prompt of 15 kB', async () => {
    await using bench = await openComposeBench();
    const batch = await runBatch(bench);
    await bench.endNext(batch, { image: 'fox' });
    const { event, body, at } = await lastBody(bench);
    expect(event.type).toBe('job.succeeded');
    const shown = (await bench.api.get(`/v1/jobs/${rowJobId(batch.id, 1)}`)).json;
    expect(body).toEqual({ type: 'job.succeeded', timestamp: at, data: shown });
    expect(Buffer.byteLength(PROMPT)).toBeGreaterThan(15_000);
    expect(body.data).toMatchObject({ row: 1, input: { prompt: PROMPT, steps: 20 }, webhook: null });
    expect(body.data).toMatchObject({
      webhook_events_filter: null,
      output: [{ key: expect.stringContaining('/fox.') }],
    });

    await bench.endNext(batch, { error: BAD });
    const second = await lastBody(bench);
    expect(second.body.data).toEqual((await bench.api.get(`/v1/jobs/${rowJobId(batch.id, 2)}`)).json);
    expect(second.body).toMatchObject({ type: 'job.failed', data: { row: 2, error: BAD, output: [] } });
  });

  test('of a batch that was paused', async () => {
    await using bench = await openComposeBench();
    const batch = await runBatch(bench);
    expect((await bench.api.post(`${batch.path}/pause`)).status).toBe(200);
    const { body, at } = await lastBody(bench);
    expect(body).toEqual({ type: 'batch.paused', timestamp: at, data: (await bench.api.get(batch.path)).json });
    expect(body.data).toMatchObject({ status: 'paused', hold: { reason: 'batch_paused' }, name: 'Foxes', budget: 5 });
  });

  test('of a batch that completed', async () => {
    await using bench = await openComposeBench();
    const batch = await runBatch(bench);
    await bench.api.redis.hdel(`${bench.api.prefix}batch:${batch.id}`, 'webhook_events');
    await bench.endNext(batch, { image: 'fox' });
    await bench.endNext(batch, { error: BAD });
    await bench.flush(batch);
    await bench.api.redis.zadd(`${bench.api.prefix}dirty`, '0', batch.id);
    const ending = await bench.states.takeFlush(10_000);
    expect(ending && (await bench.states.complete(ending, Date.now()))).toBe(true);
    const { body, at } = await lastBody(bench);
    expect(body).toEqual({ type: 'batch.completed', timestamp: at, data: (await bench.api.get(batch.path)).json });
    expect(body.data).toMatchObject({ status: 'completed', counts: { succeeded: 1, failed: 1, queued: 0 } });
  });
});

test('the progress of a batch is told with its rate of then, whenever it is composed', async () => {
  await using bench = await openComposeBench();
  const rows = Array.from({ length: 40 }, (_, i) => ({ values: [`picture ${i}`] }));
  const batch = await runBatch(bench, { columns: ['prompt'], rows });
  const key = `${bench.api.prefix}batch:${batch.id}`;
  await bench.api.redis.hset(key, { webhook_events: ' batch.progress ', started_at: Date.now() - 60_000 });
  await bench.endNext(batch, { image: 'a' });
  await bench.endNext(batch, { image: 'b' });
  const { event, body } = await lastBody(bench);
  expect(body).toMatchObject({
    type: 'batch.progress',
    data: { status: 'running', counts: { succeeded: 2, queued: 38 } },
  });
  // Two rows in the minute since it began.
  expect(body.data.rate).toBeGreaterThan(1.8);
  expect(body.data.rate).toBeLessThanOrEqual(2);
  expect(Date.parse(body.data.eta)).toBeGreaterThan(event.at);
  // The times of ends are whole milliseconds.
  const after = Date.now() + 2;
  while (Date.now() < after) await new Promise(setImmediate);
  await bench.endNext(batch, { image: 'c' });
  expect(JSON.parse(await bench.newComposer().compose(event))).toEqual(body);
});

test('a batch that Redis has forgotten is told as one that it knows', async () => {
  const { id } = await shared.put(FOXES);
  const batch = batchHash(id);
  const state = readBatchState(batch, []);
  if (state === undefined) throw new Error('The hash is that of a batch.');
  const body = await shared.compose(eventOf({ type: 'batch.completed', state }));
  expect(body).toBe(await shared.compose(eventOf({ type: 'batch.completed', batch })));
  expect(JSON.parse(body).data).toMatchObject({ id, status: 'completed' });
});

test('a change of credits is told as the list of events shows it', async () => {
  const [from, to, cause, at] = ['open', 'held', 'refused', 1_700_000_000_123] as const;
  for (const [balance, floor] of [[1_234_567_891, 500_000_000] as const, [-5, 0] as const, [undefined, undefined]]) {
    const credits = { from, to, cause, balance: String(balance ?? ''), floor: String(floor ?? '') };
    const body = JSON.parse(await shared.compose(eventOf({ type: 'credits.held', at, credits })));
    const shown = viewEvent({ id: 'evt_1', type: 'credits.held', from, to, cause, at, balance, floor });
    expect(body).toEqual({
      type: 'credits.held',
      timestamp: shown.at,
      data: { object: 'credit_state', from, to, cause, balance: shown.balance, floor: shown.floor },
    });
  }
});

test('an endpoint is told of as disabled, and a test says that it is one', async () => {
  const endpoint = { id: 'whk_1', url: 'https://example.com/a', reason: 'gone' };
  const disabled = JSON.parse(await shared.compose(eventOf({ type: 'endpoint.disabled', endpoint })));
  expect(disabled).toEqual({
    ...{ type: 'endpoint.disabled', timestamp: '2023-11-14T22:13:20.123Z' },
    data: { object: 'webhook', ...endpoint, state: 'disabled' },
  });
  const { data } = JSON.parse(await shared.compose(eventOf({ type: 'webhook.test', endpoint })));
  expect(data).toEqual({ object: 'webhook', id: 'whk_1', message: expect.stringMatching(/test/) });
});

test('an event that tells of nothing is refused', async () => {
  await expect(shared.compose(eventOf({}))).rejects.toThrow('evt_1 (job.failed) tells of no job');
});

describe('what is too large', () => {
  test('is so from 20,000 bytes on', async () => {
    const bodyWith = (note: number) =>
      shared.compose(eventOf({ job: jobHash({ metadata: JSON.stringify({ note: 'x'.repeat(note) }) }) }));
    const most = BODY_BYTES - 1 - Buffer.byteLength(await bodyWith(0));
    expect(Buffer.byteLength(await bodyWith(most))).toBe(19_999);
    expect(JSON.parse(await bodyWith(most)).data).not.toHaveProperty('truncated');
    expect(JSON.parse(await bodyWith(most + 1)).data).toMatchObject({ truncated: true });
  });

  test('goes without the input and metadata of a job', async () => {
    const metadata = { note: 'x'.repeat(9000) };
    const hash = (prompt: string) => jobHash({ input: JSON.stringify({ prompt }), metadata: JSON.stringify(metadata) });
    const whole = JSON.parse(await shared.compose(eventOf({ job: hash('é'.repeat(3000)) })));
    expect(whole.data).toMatchObject({ metadata });
    expect(whole.data).not.toHaveProperty('truncated');
    const cut = JSON.parse(await shared.compose(eventOf({ job: hash('é'.repeat(6000)) })));
    const { input: _input, metadata: _metadata, ...rest } = whole.data;
    expect(cut.data).toEqual({ ...rest, truncated: true });
  });

  test('goes without what the upload of a batch says, but for how much was rejected', async () => {
    const errors = Array.from({ length: 100 }, (_, i) => ({
      ...{ line: i + 2, column: 'steps', code: 'wrong_type', value: 'é'.repeat(200) },
      detail: 'The value is no whole number. Give one from 1 to 100.',
    }));
    const batch = await shared.put({
      ...FOXES,
      record: { report: { rejected: { count: 70_000, errors }, warnings: errors } },
    });
    const event = eventOf({ type: 'batch.completed', batch: batchHash(batch.id, { metadata: '{"for":"autumn"}' }) });
    const body = JSON.parse(await shared.compose(event));
    await shared.api.redis.hset(`${shared.api.prefix}batch:${batch.id}`, event.batch ?? {});
    const shown = (await shared.api.get(batch.path)).json;
    expect(shown.report.rejected.errors).toHaveLength(100);
    const { metadata: _metadata, columns: _columns, options: _options, report: _report, ...rest } = shown;
    expect(body.data).toEqual({ ...rest, report: { rejected: { count: 70_000 } }, truncated: true });
  });
});

describe('of a batch that was deleted meanwhile', () => {
  const line = JSON.stringify(failed(2, BAD));
  const ofRow = (batch: string) => eventOf({ batch_id: batch, row: { row: 2, line } });
  const shownOf = (batch: string) => ({
    ...{
      id: rowJobId(batch, 2),
      object: 'job',
      status: 'failed',
      error: BAD,
      attempts: 5,
      uncertain: 1,
      cost: 0.012345678,
    },
    ...{ batch_id: batch, row: 2, output: [], metadata: {}, truncated: true },
    ...{ started_at: '2023-11-14T22:13:21.000Z', ended_at: '2023-11-14T22:13:26.000Z' },
  });

  test('a row is told without its input', async () => {
    const { id, record } = await shared.put(FOXES);
    await shared.store.delete([rowsKey(id, record.upload, 0)]);
    const { data } = JSON.parse(await shared.newComposer().compose(ofRow(id)));
    expect(data).toMatchObject({ ...shownOf(id), model: record.model, created_at: '2023-11-14T22:13:20.000Z' });
    expect(data).not.toHaveProperty('input');
  });

  test('a row is told without what the record says', async () => {
    const { id } = await shared.put(FOXES);
    await shared.store.delete([recordKey(id)]);
    const { data } = JSON.parse(await shared.newComposer().compose(ofRow(id)));
    expect(data).toMatchObject(shownOf(id));
    for (const name of ['input', 'model', 'created_at']) expect(data).not.toHaveProperty(name);
  });

  test('the batch is told without what the record says', async () => {
    const { id } = await shared.put(FOXES);
    await shared.store.delete([recordKey(id)]);
    const event = eventOf({ type: 'batch.completed', batch: batchHash(id, { metadata: '{"for":"autumn"}' }) });
    const { data } = JSON.parse(await shared.newComposer().compose(event));
    expect(data).toMatchObject({
      ...{ id, status: 'completed', model: 'm', cost: 0.02, metadata: { for: 'autumn' }, truncated: true },
      counts: { total: 2, succeeded: 1, failed: 1, rejected: 100 },
    });
    for (const name of ['report', 'columns', 'options', 'source', 'estimate']) expect(data).not.toHaveProperty(name);
  });
});

test('while the store is away, what needs it is not composed, and is once it is there again', async () => {
  await using bench = await openComposeBench();
  const { id } = await bench.put(FOXES);
  const event = eventOf({ batch_id: id, row: { row: 2, line: JSON.stringify(failed(2, BAD)) } });
  const { compose } = bench.newComposer();
  const folder = join(bench.api.dataDir, 'store');
  await rename(folder, `${folder}-away`);
  await expect(compose(event)).rejects.toThrow(StoreError);
  await expect(compose(eventOf({ type: 'batch.completed', batch: batchHash(id) }))).rejects.toThrow(StoreError);
  expect(JSON.parse(await compose(eventOf({ job: jobHash() }))).data.status).toBe('failed');
  await rename(`${folder}-away`, folder);
  expect(JSON.parse(await compose(event)).data).toMatchObject({ input: { prompt: 'A bear' } });
});
