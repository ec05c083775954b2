import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { CSV, form, openBatchApi, sharedBatchApi } from './uploading.ts';

const JSON_ITEMS = [
  { id: 'fox', prompt: 'A fox', steps: 20 },
  { id: 'hen', prompt: 'A hen' },
];

test('a CSV becomes a batch, which lies in the store with all that belongs to it', async () => {
  await using api = await openBatchApi();
  const { status, headers, json } = await api.upload(CSV, {
    query: { name: 'Animals', budget: '2.5', metadata: '{"order":7}' },
  });
  expect(status).toBe(202);
  expect(json).toMatchObject({
    object: 'batch',
    name: 'Animals',
    status: 'running',
    hold: null,
    counts: { total: 2, rejected: 0, queued: 2, processing: 0, succeeded: 0, failed: 0, canceled: 0, expired: 0 },
    cost: 0,
    budget: 2.5,
    uncertain: 0,
    metadata: { order: 7 },
    columns: ['id', 'prompt', 'steps'],
    options: { on_invalid: 'skip' },
    report: { rejected: { count: 0, errors: [] }, warnings: [] },
    source: { format: 'csv', bytes: CSV.length, sha256: createHash('sha256').update(CSV).digest('hex') },
  });
  const self = `${api.config.PUBLIC_URL}/v1/batches/${json.id}`.replace(':0', `:${new URL(api.url).port}`);
  expect(headers.get('location')).toBe(self);
  expect(json.urls).toMatchObject({
    self,
    rows: `${self}/rows`,
    images_zip: `${self}/images.zip`,
    retry: `${self}/retry`,
  });
  const keys = await api.keys();
  expect(
    keys.map((key) => key.replaceAll(json.id, 'ID').replace(/-[0-9a-f]+\.ndjson/, '-UPLOAD.ndjson')).sort(),
  ).toEqual([
    'accounts/default/batches/ID',
    'batches/ID/batch.json',
    'batches/ID/decisions/000001.json',
    'batches/ID/rows/000000-UPLOAD.ndjson',
    'open/ID',
  ]);
  const record = await api.files.readRecord(json.id);
  expect(record).toMatchObject({ account: 'default', rows: 2, options: { on_invalid: 'skip' } });
  expect(await api.files.readDecision(json.id)).toMatchObject({
    ...{ seq: 1, status: 'running', runs: 0, name: 'Animals', budget: 2_500_000_000, metadata: { order: 7 } },
  });
  expect(await api.get(`/v1/batches/${json.id}`)).toMatchObject({
    status: 200,
    json: { id: json.id, status: 'running' },
  });
});

describe('the same rows come to the same batch', () => {
  const shared = sharedBatchApi();

  test.each([
    ['as TSV', CSV.replaceAll(',', '\t'), { type: 'text/tab-separated-values' }],
    ['as NDJSON', JSON_ITEMS.map((item) => JSON.stringify(item)).join('\n'), { type: 'application/x-ndjson' }],
    ['as JSON lines', JSON_ITEMS.map((item) => JSON.stringify(item)).join('\n'), { type: 'application/jsonl' }],
    ['as JSON items', JSON.stringify({ items: JSON_ITEMS, name: 'Animals' }), { type: 'application/json' }],
    ['as a bare array', JSON.stringify(JSON_ITEMS), { type: 'application/json; charset=utf-8' }],
    ['as a form', form(CSV, { name: 'Animals' }), {}],
    ['as a form with a compressed file', form(gzipSync(CSV), {}, 'prompts.csv.gz'), {}],
    ['compressed', gzipSync(CSV), { headers: { 'content-encoding': 'gzip' } }],
  ] as const)('%s', async (_name, body, options) => {
    const api = shared();
    const { status, json } = await api.upload(body, options);
    expect([status, json.detail]).toEqual([202, undefined]);
    const record = await api.files.readRecord(json.id);
    if (record === undefined) throw new Error('no record');
    const rows = await api.files.readRows(record, 0);
    expect(rows.map(({ id, key }) => [id, key])).toEqual([
      ['fox', 'fox'],
      ['hen', 'hen'],
    ]);
    expect(json.counts.total).toBe(2);
  });
});

test('an upload may be larger than other bodies', async () => {
  await using api = await openBatchApi();
  const prompt = 'x'.repeat(10_000);
  const { counts } = await api.make(`prompt\n${`${prompt}\n`.repeat(100)}`);
  expect(counts.total).toBe(100);
  const job = await api.post('/v1/jobs', { input: { prompt }, metadata: { a: 'x'.repeat(300_000) } });
  expect([job.status, job.json.code]).toEqual([413, 'payload_too_large']);
});

test('a dry run answers with the same report and makes nothing', async () => {
  await using api = await openBatchApi();
  const body = 'id,prompt,steps\nfox,A fox,20\nhen,A hen,2000\n';
  const { status, json } = await api.upload(body, { query: { dry_run: 'true', budget: '0.01' } });
  expect(status).toBe(200);
  expect(await api.keys()).toEqual([]);
  expect((await api.get('/v1/batches')).json.data).toEqual([]);
  const made = await api.make(body);
  expect(json).toMatchObject({
    object: 'batch_dry_run',
    accepted: true,
    images: 1,
    counts: { total: 1, rejected: 1 },
    report: made.report,
    estimate: { cost: 0.013333334, seconds: 1, fits: false, balance: null, left: null, budget_left: -0.003333334 },
    limited_by: 'rate',
    preview: [{ row: 1, line: 2, id: 'fox', key: 'fox', input: { prompt: 'A fox', steps: 20, width: 1024 } }],
  });
  expect(made.report.rejected).toMatchObject({ count: 1, errors: [{ line: 3, column: 'steps', value: '2000' }] });
});

test('options beside items and in forms make dry runs, too', async () => {
  await using api = await openBatchApi();
  const items = JSON.stringify({ items: JSON_ITEMS, dry_run: true });
  expect((await api.upload(items, { type: 'application/json' })).status).toBe(200);
  expect((await api.upload(form(CSV, { dry_run: '1' }))).status).toBe(200);
  expect((await api.upload(CSV, { query: { dry_run: '' } })).status).toBe(200);
  expect(await api.keys()).toEqual([]);
});

test('the balance and the budget are set beside the estimate', async () => {
  await using api = await openBatchApi({ env: { CREDIT_FLOOR: '1' } });
  const thresholds = { floor: 0, resume: 0, estimate: 1 };
  await api.ledger.takeReading(1_050_000_000, await api.ledger.beginReading(), thresholds);
  const two = await api.make('prompt\na\nb\n');
  expect(two.estimate).toMatchObject({ cost: 0.04, fits: true, balance: 0.05, left: 0.01, budget_left: null });
  const three = await api.upload('prompt\na\nb\nc\n', { query: { dry_run: 'true' } });
  expect(three.json.estimate).toMatchObject({ cost: 0.06, fits: false, balance: 0.05, left: -0.01 });
});

test('a batch that is accepted while work is held says so', async () => {
  await using api = await openBatchApi();
  await api.post('/v1/credits/hold', { detail: 'Inventory.' });
  const hold = { reason: 'operator', detail: 'Inventory.' };
  expect(await api.make()).toMatchObject({ status: 'running', hold, limited_by: 'hold', eta: null });
  expect((await api.upload(CSV, { query: { dry_run: 'true' } })).json).toMatchObject({ hold, limited_by: 'hold' });
  await api.post('/v1/credits/resume');
});
