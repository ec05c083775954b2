import { MOST_PARTS } from '@renderyard/api/batches/results/list-rows';
import { rowJobId } from '@renderyard/shared/batch/row';
import { expect, test } from 'vitest';
import { failed, openBatchBench, putEnd, putImage, succeeded } from './batch-bench.ts';

const BAD = { code: 'bad_image', detail: 'Cut off.' } as const;

test('a row is a job, with its batch, its number and what was given', async () => {
  await using bench = await openBatchBench();
  const { api } = bench;
  const rows = [{ id: 'a', values: ['A fox', 'red'] }, { values: ['A bear', ''] }, { values: ['A hare', ''] }];
  const batch = await bench.put({ columns: ['prompt', 'Colour'], rows, partRows: 2 });
  await bench.open(batch);
  await bench.endNext(batch, { image: 'a' });
  await bench.endNext(batch, { error: BAD });

  const { status, json } = await api.get(`${batch.path}/rows`);
  expect(status).toBe(200);
  expect(json).toMatchObject({ object: 'list', has_more: false, next: null });
  const [first, second, third] = json.data;
  expect(first).toMatchObject({
    ...{ id: rowJobId(batch.id, 1), object: 'job', status: 'succeeded', batch_id: batch.id, row: 1 },
    ...{ row_id: 'a', line: 2, columns: { prompt: 'A fox', Colour: 'red' } },
    ...{ input: { prompt: 'A fox', steps: 30, seed: 0 }, hold: null, error: null },
    output: [{ key: `batches/${batch.id}/images/a.png`, bytes: 14 }],
  });
  expect(second).toMatchObject({ status: 'failed', error: BAD, output: [], row: 2, row_id: null });
  expect(third).toMatchObject({ status: 'queued', row: 3, attempts: 0, ended_at: null });

  const alone = await api.get(`/v1/jobs/${first.id}`);
  expect(alone.status).toBe(200);
  const { row_id: _id, line: _line, columns: _columns, ...job } = first;
  expect(alone.json).toEqual(job);
  const { headers, status: found } = await api.get(first.urls.image);
  expect(found).toBe(302);
  expect(await (await fetch(headers.get('location') ?? '')).text()).toBe('image of row 1');
  expect(await api.get(second.urls.image)).toMatchObject({ status: 404, json: { code: 'no_image' } });
  expect(await api.get(third.urls.image)).toMatchObject({ status: 409, json: { code: 'image_not_ready' } });
});

test('a row that is rendered shows its attempts of this run and of earlier ones', async () => {
  await using bench = await openBatchBench();
  const batch = await bench.put({ columns: ['prompt'], rows: [{ values: ['A fox'] }, { values: ['A bear'] }] });
  await bench.open(batch);
  await bench.api.jobs.takeTickets(1);
  const id = rowJobId(batch.id, 1);
  await bench.api.redis.hset(`${bench.api.prefix}job:${id}`, {
    status: 'processing',
    attempts: 2,
    cost: 20_000_000,
    started_at: 5000,
  });
  expect((await bench.api.get(`/v1/jobs/${id}`)).json).toMatchObject({
    ...{ status: 'processing', attempts: 2, cost: 0.02, started_at: '1970-01-01T00:00:05.000Z', ended_at: null },
  });
  expect((await bench.api.get(`${batch.path}/rows?status=processing`)).json.data).toMatchObject([{ id, attempts: 2 }]);
  const times = { started_at: 1000, ended_at: 2000, run: 0 };
  await bench.files.writeResults(batch.id, 0, 1_700_000_000_001, [failed(1, BAD, times)]);
  await bench.api.redis.hset(`${bench.api.prefix}versions:${batch.id}`, { 0: '1700000000001' });
  await bench.states.decide(batch.id, { ...batch.decision, seq: 2, runs: 1 });
  expect((await bench.api.get(`/v1/jobs/${id}`)).json).toMatchObject({
    ...{ status: 'processing', attempts: 7, uncertain: 1, cost: 0.032345678, started_at: '1970-01-01T00:00:01.000Z' },
    ...{ error: null, ended_at: null },
  });
});

test('a queued row shows why its batch waits', async () => {
  await using bench = await openBatchBench();
  const hold = { reason: 'batch_budget', since: 1_700_000_000_000, detail: 'The budget is used up.' } as const;
  const batch = await bench.put({
    columns: ['prompt'],
    rows: [{ values: ['A fox'] }],
    decision: { status: 'paused', hold },
  });
  const held = { ...hold, since: '2023-11-14T22:13:20.000Z' };
  const id = rowJobId(batch.id, 1);
  // As the store alone has it, and as Redis has it.
  expect((await bench.api.get(`/v1/jobs/${id}`)).json).toMatchObject({ status: 'queued', hold: held });
  await bench.open(batch);
  expect((await bench.api.get(`/v1/jobs/${id}`)).json).toMatchObject({ status: 'queued', hold: held });
  expect((await bench.api.get(`${batch.path}/rows`)).json.data).toMatchObject([{ hold: held }]);
});

test('the job of a row is canceled and retried with its batch only', async () => {
  await using bench = await openBatchBench();
  const batch = await bench.put({ columns: ['prompt'], rows: [{ values: ['A fox'] }] });
  await bench.open(batch);
  for (const action of ['cancel', 'retry']) {
    const answer = await bench.api.post(`/v1/jobs/${rowJobId(batch.id, 1)}/${action}`);
    expect(answer).toMatchObject({ status: 409, json: { code: 'row_of_batch' } });
    expect(answer.json.detail).toContain(`/v1/batches/${batch.id}/cancel`);
  }
});

test('a row that is not there, or of another account, is not found', async () => {
  await using bench = await openBatchBench();
  const batch = await bench.put({ columns: ['prompt'], rows: [{ values: ['A fox'] }] });
  const other = await bench.put({ columns: ['prompt'], rows: [{ values: ['x'] }], record: { account: 'ann' } });
  const none = { ...batch, id: 'bat_01jabcdefghjkmnpqrstvwxyz0' };
  for (const id of [rowJobId(batch.id, 2), rowJobId(other.id, 1), rowJobId(none.id, 1), `${rowJobId(batch.id, 1)}x`])
    for (const path of [`/v1/jobs/${id}`, `/v1/jobs/${id}/image`])
      expect(await bench.api.get(path)).toMatchObject({ status: 404, json: { code: 'not_found' } });
});

test('pages follow each other, with a filter or without', async () => {
  await using bench = await openBatchBench();
  const rows = Array.from({ length: 25 }, (_, index) => ({ values: [`Fox ${index + 1}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows, partRows: 4 });
  const image = await putImage(bench.store, batch.id, 'x', Buffer.from('x'));
  const isFailed = (row: number) => row % 6 === 0;
  const results = rows
    .slice(0, 20)
    .map((_, index) => (isFailed(index + 1) ? failed(index + 1, BAD) : succeeded(index + 1, image)));
  await putEnd(bench, batch, results, 'canceled');
  const all = async (query: string) => {
    const found: number[] = [];
    let pages = 0;
    for (let after = ''; ; pages++) {
      const { status, json } = await bench.api.get(`${batch.path}/rows?limit=3${query}${after}`);
      expect(status).toBe(200);
      expect(json.data.length).toBeLessThanOrEqual(3);
      found.push(...json.data.map(({ row }: { row: number }) => row));
      if (!json.has_more) return { found, pages: pages + 1 };
      after = `&after=${json.next}`;
    }
  };
  const numbers = rows.map((_, index) => index + 1);
  expect(await all('')).toEqual({ found: numbers, pages: 9 });
  expect(await all('&status=failed')).toEqual({ found: [6, 12, 18], pages: 1 });
  expect(await all('&status=canceled')).toEqual({ found: numbers.slice(20), pages: 2 });
  expect(await all('&status=succeeded')).toMatchObject({ found: numbers.slice(0, 20).filter((row) => !isFailed(row)) });
  expect(await all('&status=queued')).toEqual({ found: [], pages: 1 });
  for (const query of ['status=ended', 'after=x', 'limit=0'])
    expect(await bench.api.get(`${batch.path}/rows?${query}`)).toMatchObject({
      ...{ status: 400, json: { detail: expect.stringMatching(/[^.]\.$/) } },
    });
  expect((await bench.api.get(`${batch.path}/rows?after=999`)).json).toMatchObject({ data: [], has_more: false });
});

test('a filter that fits few rows looks through a bounded number of parts at a time', async () => {
  await using bench = await openBatchBench();
  const count = MOST_PARTS * 2 + 5;
  const rows = Array.from({ length: count }, (_, index) => ({ values: [`Fox ${index + 1}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows, partRows: 1 });
  await putEnd(bench, batch, [failed(count, BAD)], 'canceled');
  const page = async (after: string) => (await bench.api.get(`${batch.path}/rows?status=failed${after}`)).json;
  expect(await page('')).toMatchObject({ data: [], has_more: true, next: `${MOST_PARTS}` });
  expect(await page(`&after=${MOST_PARTS}`)).toMatchObject({ data: [], has_more: true, next: `${MOST_PARTS * 2}` });
  expect(await page(`&after=${MOST_PARTS * 2}`)).toMatchObject({ data: [{ row: count }], has_more: false, next: null });
});
