import type { RowProblem } from '@renderyard/shared/batch/batch';
import { rowJobId } from '@renderyard/shared/batch/row';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { failed, openBatchBench, putEnd, putImage, succeeded } from './batch-bench.ts';

const COLUMNS = ['id', 'Prompt ', 'status', 'note'];
const TEXT = { text: { prompt: 1 } };
const BAD = { code: 'bad_image', detail: 'The image, "it" is cut off.' } as const;
const HEADER = 'id,Prompt ,status,note,status,image_url,key,seed,cost,attempts,uncertain,error_code,error_detail'.split(
  ',',
);

test('the results of an ended batch have its own columns untouched, then ours', async () => {
  await using bench = await openBatchBench();
  const { store, get, api } = bench;
  const rows = [
    { id: 'a', values: ['a', ' A "fox",\r\nasleep ', 'old', '=1+1'] },
    { id: 'b', values: ['b', 'Ein Bär 🐻', '', '-5'] },
    { values: ['', 'Third', '', "'-5"] },
  ];
  const batch = await bench.put({ columns: COLUMNS, rows, partRows: 2, record: TEXT });
  const image = await putImage(store, batch.id, 'a', Buffer.from('one'));
  await putEnd(bench, batch, [succeeded(1, image), failed(2, BAD)], 'canceled');

  const answer = await get(`${batch.path}/results.csv`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
  expect(answer.headers.get('content-disposition')).toBe(
    `attachment; filename="${batch.id}-results.csv"; filename*=UTF-8''${batch.id}-results.csv`,
  );
  const text = await answer.text();
  const url = `${api.url}/v1/jobs/${rowJobId(batch.id, 1)}/image`;
  expect(parse(text, { record_delimiter: '\r\n' })).toEqual([
    HEADER,
    [...['a', ' A "fox",\r\nasleep ', 'old', "'=1+1"], 'succeeded', url, image.key, '7', '0.02', '1', '0', '', ''],
    [...['b', 'Ein Bär 🐻', '', '-5'], 'failed', '', '', '1', '0.012345678', '5', '1', BAD.code, BAD.detail],
    [...['', 'Third', '', "''-5"], 'canceled', '', '', '2', '0', '0', '0', '', ''],
  ]);

  const kept = Buffer.from(await (await get(`${batch.path}/results.csv?formulas=keep&bom=true`)).arrayBuffer());
  expect(kept.subarray(0, 3)).toEqual(Buffer.from([0xef, 0xbb, 0xbf]));
  const records: string[][] = parse(kept, { record_delimiter: '\r\n', bom: true });
  expect(records.slice(1).map((record) => record.slice(0, 4))).toEqual(rows.map(({ values }) => values));

  expect((await get(`${batch.path}/results.csv?formulas=no`)).status).toBe(400);
  expect((await fetch(new URL(`${batch.path}/results.csv`, api.url), { method: 'HEAD' })).status).not.toBe(200);
});

test('NDJSON has the values of JSON exactly', async () => {
  await using bench = await openBatchBench();
  const values = ['A fox', { __proto__: null, deep: [1, null, '\ud83d'] }, -0.5, false, null];
  const columns = ['prompt', '__proto__', 'n', 'flag', 'toJSON'];
  const batch = await bench.put({ columns, rows: [{ id: 'x', values }, { values: ['Next'] }] });
  const image = await putImage(bench.store, batch.id, 'x', Buffer.from('one'));
  await putEnd(bench, batch, [succeeded(1, image), failed(2, BAD)]);

  const answer = await bench.get(`${batch.path}/results.ndjson`);
  expect(answer.headers.get('content-type')).toBe('application/x-ndjson');
  const lines = (await answer.text()).trimEnd().split('\n');
  expect(lines[0]).toContain(
    '"columns":{"prompt":"A fox","__proto__":{"deep":[1,null,"\\ud83d"]},"n":-0.5,"flag":false',
  );
  const [first, second] = lines.map((line) => JSON.parse(line));
  const url = `${bench.api.url}/v1/jobs/${rowJobId(batch.id, 1)}/image`;
  expect(first).toMatchObject({
    ...{ row: 1, line: 2, id: 'x', status: 'succeeded', input: { prompt: 'A fox', steps: 30, seed: 0 } },
    ...{ output: [{ url, ...image }], error: null, attempts: 1, uncertain: 0, cost: 0.02, seed: 7 },
    ended_at: '2023-11-14T22:13:24.000Z',
  });
  expect(second).toMatchObject({
    ...{ row: 2, id: null, status: 'failed', columns: { prompt: 'Next' } },
    ...{ output: [], error: BAD, attempts: 5, uncertain: 1, cost: 0.012345678 },
  });
});

test('rejected rows come back as they were given, with what is wrong behind', async () => {
  await using bench = await openBatchBench();
  const problem = (more: Partial<RowProblem>): RowProblem => ({
    ...{ line: 3, column: 'steps', code: 'out_of_range', value: '5', detail: 'steps must be from 10 to 70.' },
    ...more,
  });
  const rejected = [
    {
      line: 3,
      values: ['A fox', '5'],
      problems: [problem({}), problem({ column: 'seed', detail: 'seed is no number.' })],
    },
    { line: 7, values: ['=x'], problems: [problem({ column: null, code: 'too_few', detail: 'There are 2 columns.' })] },
    {
      line: 9,
      values: ['a', 'b', 'c', 'd'],
      problems: [problem({ column: null, code: 'too_many', detail: 'Too many.' })],
    },
  ];
  const batch = await bench.put({
    columns: ['prompt', 'steps'],
    rows: [],
    rejected,
    partRows: 2,
    decision: { name: '../Foxes: "all"\n' },
  });
  await bench.open(batch);
  const answer = await bench.get(`${batch.path}/rejected.csv`);
  expect(answer.headers.get('content-disposition')).toContain(`filename="_Foxes_ _all__-rejected.csv"`);
  expect(parse(await answer.text(), { relax_column_count: true })).toEqual([
    ['prompt', 'steps', 'rejected_line', 'rejected_column', 'rejected_code', 'rejected_detail'],
    ['A fox', '5', '3', 'steps', 'out_of_range', 'steps must be from 10 to 70. | seed: seed is no number.'],
    ["'=x", '', '7', '', 'too_few', 'There are 2 columns.'],
    ['a', 'b', '9', '', 'too_many', 'Too many.', 'c', 'd'],
  ]);
  const results = await (await bench.get(`${batch.path}/results.csv`)).text();
  expect(results.split('\r\n')).toHaveLength(2);
});

test('while a batch runs, its results say of each row how it stands', async () => {
  await using bench = await openBatchBench();
  const rows = Array.from({ length: 6 }, (_, index) => ({ values: [`Fox ${index + 1}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows, partRows: 3 });
  await bench.open(batch);
  const statuses = async () => {
    const text = await (await bench.get(`${batch.path}/results.csv`)).text();
    const records: string[][] = parse(text, { from: 2 });
    return records.map((record) => record[1]?.slice(0, 2)).join(' ');
  };
  expect(await statuses()).toBe('qu qu qu qu qu qu');
  await bench.endNext(batch, { image: '000001' });
  await bench.endNext(batch, { error: BAD });
  expect(await statuses()).toBe('su fa qu qu qu qu');
  await bench.flush(batch);
  expect(await statuses()).toBe('su fa qu qu qu qu');
  await bench.endNext(batch, { error: BAD });
  await bench.endNext(batch, { image: '000004' });
  expect(await statuses()).toBe('su fa fa su qu qu');
  await bench.flush(batch);
  const retried = { ...batch.decision, seq: 2, runs: 1 };
  await bench.states.decide(batch.id, retried);
  expect(await statuses()).toBe('su qu qu su qu qu');
  expect(await bench.endNext(batch, { image: '000002' })).toBe(2);
  expect(await statuses()).toBe('su su qu su qu qu');
});

test('a batch of another account, and one that is none, are not found', async () => {
  await using bench = await openBatchBench();
  const batch = await bench.put({ columns: ['prompt'], rows: [{ values: ['x'] }], record: { account: 'ann' } });
  for (const path of [batch.path, '/v1/batches/bat_0', '/v1/batches/bat_01jabcdefghjkmnpqrstvwxyz0'])
    for (const what of ['results.csv', 'results.ndjson', 'rejected.csv', 'images.zip', 'rows'])
      expect(await bench.api.get(`${path}/${what}`)).toMatchObject({ status: 404, json: { code: 'not_found' } });
});

test('what the store has lost is told before the first byte, and cuts the connection after it', async () => {
  await using bench = await openBatchBench();
  const rows = Array.from({ length: 40 }, (_, index) => ({ values: [`Fox ${index} ${'x'.repeat(20_000)}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows, partRows: 2 });
  await bench.open(batch);
  const keys: string[] = [];
  for await (const { key } of bench.store.list(`batches/${batch.id}/rows/`)) keys.push(key);
  await bench.store.delete(keys.slice(-1));
  const answer = await bench.get(`${batch.path}/results.csv`);
  expect(answer.status).toBe(200);
  await expect(answer.text()).rejects.toThrow();
  expect(bench.api.logs).toContainEqual(
    expect.objectContaining({ msg: 'request', batch_id: batch.id, broken_off: true, err: expect.anything() }),
  );

  const other = await bench.put({ columns: ['prompt'], rows });
  await bench.open(other);
  for await (const { key } of bench.store.list(`batches/${other.id}/rows/`)) await bench.store.delete([key]);
  expect(await bench.api.get(`${other.path}/results.csv`)).toMatchObject({
    status: 500,
    json: { code: 'internal_error' },
  });
});

test('a download during which Redis is emptied is cut, not ended with rows that look queued', async () => {
  await using redis = await startRedisInstance();
  await using bench = await openBatchBench({ redisUrl: redis.url });
  // More than the buffers of a connection hold, so that most parts are read once some of the file was taken.
  const rows = Array.from({ length: 400 }, (_, index) => ({ values: [`Fox ${index} ${'x'.repeat(100_000)}`] }));
  const batch = await bench.put({ columns: ['prompt'], rows, partRows: 4 });
  await bench.open(batch);
  const answer = await bench.get(`${batch.path}/results.csv`);
  expect(answer.status).toBe(200);
  const body = answer.body?.getReader();
  expect((await body?.read())?.done).toBe(false);
  await bench.api.redis.flushall();
  await expect(
    (async () => {
      while ((await body?.read())?.done === false);
    })(),
  ).rejects.toThrow();
});
