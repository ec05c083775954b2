import { newId } from '@renderyard/shared/ids';
import { describe, expect, test } from 'vitest';
import { type BatchBench, openBatchBench, type PutBatch } from '../batch-results/batch-bench.ts';
import { ofType, watchEvents } from './event-client.ts';

const ERROR = { code: 'upstream_rejected', detail: 'The upstream refuses it.' } as const;

async function startBatch(bench: BatchBench, rows: number): Promise<PutBatch> {
  const values = Array.from({ length: rows }, (_, i) => ({ values: [`picture ${i + 1}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows: values });
  await bench.open(batch);
  return batch;
}

/** Writes the batch to its end, as a worker does. */
async function complete(bench: BatchBench, batch: PutBatch): Promise<void> {
  await bench.flush(batch);
  await end(bench, batch);
}

/** Ends a batch of which nothing waits to be written. */
async function end(bench: BatchBench, batch: PutBatch): Promise<void> {
  await bench.api.redis.zadd(`${bench.api.prefix}dirty`, '0', batch.id);
  const taken = await bench.states.takeFlush(10_000);
  if (taken === undefined || !(await bench.states.complete(taken, Date.now())))
    throw new Error('The batch is not ending.');
}

describe('a batch that is watched', () => {
  test('is shown, then how far it is at most about twice a second, and the stream ends with it', async () => {
    await using bench = await openBatchBench();
    const rows = 30;
    const batch = await startBatch(bench, rows);
    await using client = await watchEvents(bench.api, `${batch.path}/events`);
    const begun = performance.now();
    expect((await client.event(ofType('snapshot'))).data.data).toMatchObject({
      id: batch.id,
      object: 'batch',
      counts: { total: rows, succeeded: 0 },
    });
    for (let row = 1; row <= rows; row++)
      await bench.endNext(batch, { error: { ...ERROR, code: row % 2 ? 'bad_image' : ERROR.code } });
    await client.event(({ event, data }) => event === 'batch.progress' && data.data.counts.failed === rows);
    const told = client.events.filter(ofType('batch.progress'));
    expect(told.length).toBeLessThanOrEqual(2 + (performance.now() - begun) / 500);
    expect(client.events.filter(({ event }) => event.startsWith('job.'))).toEqual([]);
    await complete(bench, batch);
    expect(await client.ended).toBe('ended');
    const last = client.events.at(-1);
    expect(last).toMatchObject({ event: 'batch.completed', data: { data: { id: batch.id, status: 'completed' } } });
    const { json } = await bench.api.get(batch.path);
    expect(last?.data.data.counts).toEqual(json.counts);
    expect((await bench.api.get(`${batch.path}/events`, { 'last-event-id': client.lastId })).status).toBe(204);
  });

  test('tells the end of every row, as the row is shown, where that is asked for', async () => {
    await using bench = await openBatchBench();
    const batch = await startBatch(bench, 3);
    await using client = await watchEvents(bench.api, `${batch.path}/events?rows=true`);
    await client.event(ofType('snapshot'));
    await bench.endNext(batch, { image: '000001' });
    await bench.endNext(batch, { error: ERROR });
    await client.event(ofType('job.failed'));
    const told = client.events.filter(({ event }) => event.startsWith('job.'));
    expect(told.map(({ data }) => data.data.row)).toEqual([1, 2]);
    for (const { event, data } of told) {
      const { json } = await bench.api.get(`/v1/jobs/${data.data.id}`);
      const { input: _input, metadata: _metadata, ...shown } = json;
      expect(data).toEqual({ type: event, timestamp: json.ended_at, data: shown });
    }
  });

  test('tells at once that it was paused, resumed and canceled', async () => {
    await using bench = await openBatchBench();
    const batch = await startBatch(bench, 3);
    await using client = await watchEvents(bench.api, `${batch.path}/events`);
    await client.event(ofType('snapshot'));
    await bench.api.post(`${batch.path}/pause`, {});
    const paused = await client.event(ofType('batch.paused'));
    expect(paused.data.data).toMatchObject({ status: 'paused', hold: { reason: 'batch_paused' } });
    await bench.api.post(`${batch.path}/resume`, {});
    await client.event(({ event, data }) => event === 'batch.progress' && data.data.status === 'running');
    await bench.api.post(`${batch.path}/cancel`, {});
    await client.event(({ event, data }) => event === 'batch.progress' && data.data.status === 'canceling');
    await end(bench, batch);
    expect(await client.ended).toBe('ended');
    expect(client.events.at(-1)).toMatchObject({ event: 'batch.canceled', data: { data: { status: 'canceled' } } });
  });

  test('shows after a connection that broke what the client may not have been told', async () => {
    await using bench = await openBatchBench();
    const batch = await startBatch(bench, 4);
    await using before = await watchEvents(bench.api, `${batch.path}/events?rows=true`);
    await before.event(ofType('snapshot'));
    await bench.endNext(batch, { image: '000001' });
    await before.event(ofType('batch.progress'));
    await bench.endNext(batch, { image: '000002' });
    const { id } = await before.event(({ event, data }) => event === 'job.succeeded' && data.data.row === 2);
    // Its progress is still kept back.
    before.close();
    await using back = await watchEvents(bench.api, `${batch.path}/events?rows=true`, { 'last-event-id': id });
    const progress = await back.event(ofType('batch.progress'));
    expect(progress.data.data.counts.succeeded).toBe(2);
    expect(back.events.filter(ofType('job.succeeded'))).toEqual([]);
  });

  test('and has ended is told from where a client was on, to the last event', async () => {
    await using bench = await openBatchBench();
    const batch = await startBatch(bench, 2);
    await using before = await watchEvents(bench.api, `${batch.path}/events`);
    const { id } = await before.event(ofType('snapshot'));
    before.close();
    for (const action of ['pause', 'cancel']) await bench.api.post(`${batch.path}/${action}`, {});
    await end(bench, batch);
    await using back = await watchEvents(bench.api, `${batch.path}/events`, { 'last-event-id': id });
    expect(await back.ended).toBe('ended');
    const told = back.events.filter(({ event }) => event !== 'batch.progress');
    expect(told.map(({ event }) => event)).toEqual(['batch.paused', 'batch.canceled']);
  });

  test('that is deleted ends the stream of whoever comes late, and is not found then', async () => {
    await using bench = await openBatchBench();
    const batch = await startBatch(bench, 1);
    await using client = await watchEvents(bench.api, `${batch.path}/events`);
    const { id } = await client.event(ofType('snapshot'));
    client.close();
    await bench.endNext(batch, { image: '000001' });
    await complete(bench, batch);
    expect((await bench.api.call('DELETE', batch.path)).status).toBe(204);
    expect((await bench.api.get(`${batch.path}/events`, { 'last-event-id': id })).status).toBe(404);
    expect((await bench.api.get(`/v1/batches/${newId('bat')}/events`)).status).toBe(404);
  });
});

describe('a row that is watched', () => {
  test('is shown with its input, and the stream ends with it, not with others', async () => {
    await using bench = await openBatchBench();
    const batch = await startBatch(bench, 2);
    const [, second] = [1, 2].map((row) => `job_${batch.id.slice(4)}_${row}`);
    await using client = await watchEvents(bench.api, `/v1/jobs/${second}/events`);
    const snapshot = await client.event(ofType('snapshot'));
    expect(snapshot.data.data).toMatchObject({ id: second, row: 2, status: 'queued', input: { prompt: 'picture 2' } });
    await bench.endNext(batch, { image: '000001' });
    await bench.endNext(batch, { image: '000002' });
    expect(await client.ended).toBe('ended');
    expect(client.events.map(({ event }) => event)).toEqual(['snapshot', 'job.succeeded']);
    expect(client.events[1]?.data.data).toEqual((await bench.api.get(`/v1/jobs/${second}`)).json);
  });

  test('ends with its batch when that is canceled', async () => {
    await using bench = await openBatchBench();
    const batch = await startBatch(bench, 2);
    const row = `job_${batch.id.slice(4)}_2`;
    await using client = await watchEvents(bench.api, `/v1/jobs/${row}/events`);
    await client.event(ofType('snapshot'));
    await bench.api.post(`${batch.path}/cancel`, {});
    await end(bench, batch);
    expect(await client.ended).toBe('ended');
    expect(client.events.at(-1)).toMatchObject({
      event: 'job.canceled',
      data: { data: { id: row, status: 'canceled' } },
    });
  });
});

describe('an account that is watched', () => {
  test('tells of jobs, batches and credits; of rows only where they are asked for', async () => {
    await using bench = await openBatchBench();
    const { api } = bench;
    await using all = await watchEvents(api, '/v1/events');
    await using withRows = await watchEvents(api, '/v1/events?rows=true');
    expect((await all.event(ofType('snapshot'))).data.data).toEqual({
      object: 'account_snapshot',
      at: expect.any(String),
    });
    await withRows.event(ofType('snapshot'));
    const batch = await startBatch(bench, 2);
    await bench.endNext(batch, { image: '000001' });
    const { id } = await api.submit();
    await api.succeed(id);
    const row = await withRows.event(({ event, data }) => event === 'job.succeeded' && data.data.row === 1);
    expect(row.data.data.batch_id).toBe(batch.id);
    for (const client of [all, withRows]) {
      await client.event(({ event, data }) => event === 'job.queued' && data.data.id === id);
      await client.event(({ event, data }) => event === 'job.succeeded' && data.data.id === id);
      await client.event(({ event, data }) => event === 'batch.progress' && data.data.id === batch.id);
    }
    expect(all.events.filter(({ data }) => data.data.row === 1)).toEqual([]);
  });

  test('tells only the types that are asked for', async () => {
    await using bench = await openBatchBench();
    const { api } = bench;
    await using client = await watchEvents(api, '/v1/events?types=job.succeeded,credits.held,endpoint.disabled');
    await client.event(ofType('snapshot'));
    const { id } = await api.submit();
    await api.succeed(id);
    const other = await api.submit();
    await api.fail(other.id);
    const batch = await startBatch(bench, 2);
    await bench.endNext(batch, { image: '000001' });
    const event = {
      id: 'evt_1',
      type: 'credits.held',
      from: 'low',
      to: 'held',
      cause: 'floor',
      at: '5',
      balance: '1000000000',
      floor: '',
    };
    await api.redis.xadd(`${api.prefix}credit-events`, '*', ...Object.entries(event).flat());
    await api.redis.xadd(`${api.prefix}live`, '*', 'account', '', 'type', 'credits.held', 'at', '5', 'id', 'evt_1');
    const disabled = { account: 'default', type: 'endpoint.disabled', at: '5', webhook: 'whk_1' };
    await api.redis.xadd(`${api.prefix}live`, '*', ...Object.entries(disabled).flat());
    await client.event(ofType('endpoint.disabled'));
    expect(client.events.slice(1).map(({ data }) => [data.type, data.data.id])).toEqual([
      ['job.succeeded', id],
      ['credits.held', 'evt_1'],
      ['endpoint.disabled', 'whk_1'],
    ]);
    expect(client.events.find(ofType('credits.held'))?.data.data).toMatchObject({
      object: 'credit_event',
      balance: 1,
      floor: null,
    });
  });

  test('is told that a job is gone that was deleted before it could be told of', async () => {
    await using bench = await openBatchBench();
    const { api } = bench;
    await api.submit();
    await using before = await watchEvents(api, '/v1/events');
    const { id: from } = await before.event(ofType('snapshot'));
    before.close();
    const { id } = await api.submit();
    await api.succeed(id);
    await api.call('DELETE', `/v1/jobs/${id}`);
    await using client = await watchEvents(api, '/v1/events', { 'last-event-id': from });
    const { data } = await client.event(ofType('job.succeeded'));
    expect(data.data).toEqual({ id, object: 'job', deleted: true });
  });
});
