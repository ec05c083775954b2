import { rowJobId } from '@renderyard/shared/batch/row';
import { expect, test, vi } from 'vitest';
import { openBatchApi } from '../batch-api/uploading.ts';
import { openApi } from './running-api.ts';

test('the books are told in credits', async () => {
  await using api = await openApi({ env: { CREDIT_FLOOR: '0.5', CREDIT_LOW: '2' } });
  expect((await api.get('/v1/credits')).json).toMatchObject({ object: 'credits', balance: null, available: null });
  const { id } = await api.submit();
  const call = await api.startCall(id);
  expect((await api.get('/v1/credits')).json).toMatchObject({
    balance: 10,
    reserved: 0.02,
    available: 9.48,
    floor: 0.5,
    low: 2,
    resume: 2,
    spent: 0,
    in_flight: 1,
    uncertain: { count: 0, credits: 0, calls: [] },
  });
  await api.jobs.record(
    { job: id, call: { id: call, settlement: { kind: 'spent', cost: 30_000_000 } }, status: 'queued' },
    1000,
  );
  expect((await api.get('/v1/credits')).json).toMatchObject({
    balance: 9.97,
    reserved: 0,
    spent: 0.03,
    costs: [{ model: 'stable', steps: 30, width: 64, height: 64, cost: 0.03 }],
  });
});

test('uncertain calls are listed, their jobs only to the account that made them', async () => {
  await using api = await openApi({ env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' } });
  const [ann, bob] = [{ authorization: 'Bearer secret-of-ann-1234' }, { authorization: 'Bearer secret-of-bob-1234' }];
  const { id } = await api.submit({ prompt: 'x' }, ann);
  const call = await api.startCall(id);
  await api.jobs.record(
    {
      job: id,
      call: { id: call, settlement: { kind: 'uncertain', how: 'timeout' } },
      status: 'queued',
      uncertain: 'limited',
    },
    1000,
  );
  const expected = { count: 1, credits: 0.02, calls: [{ id: call, how: 'timeout', estimate: 0.02, resolved: false }] };
  expect((await api.get('/v1/credits', ann)).json.uncertain).toMatchObject(expected);
  expect((await api.get('/v1/credits', ann)).json.uncertain.calls[0].job_id).toBe(id);
  expect((await api.get('/v1/credits', bob)).json.uncertain.calls[0].job_id).toBeNull();
});

test('uncertain calls of rows are known to the account of the batch, also once the row has ended', async () => {
  await using api = await openBatchApi({
    env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' },
  });
  const [ann, bob] = [{ authorization: 'Bearer secret-of-ann-1234' }, { authorization: 'Bearer secret-of-bob-1234' }];
  const { id } = await api.make('prompt\nA fox\nA hen\n', { headers: ann });
  const jobOf = async (account: Record<string, string>) =>
    (await api.get('/v1/credits', account)).json.uncertain.calls[0].job_id;
  const job = rowJobId(id, 1);
  await vi.waitFor(async () => expect(await api.jobs.get(job)).toBeDefined());
  const call = await api.startCall(job);
  expect(
    await api.jobs.record(
      {
        ...{ job, row: { part: 0 }, call: { id: call, settlement: { kind: 'uncertain', how: 'timeout' } } },
        ...{ status: 'failed', error: { code: 'outcome_uncertain', detail: 'No answer came.' } },
      },
      1000,
    ),
  ).toBeDefined();
  expect(await api.jobs.get(job)).toBeUndefined();
  expect([await jobOf(ann), await jobOf(bob)]).toEqual([job, null]);
  await api.end(id, { failed: 1 });
  await api.forget(id);
  expect([await jobOf(ann), await jobOf(bob)]).toEqual([job, null]);
});

test("an operator's hold stands until it is resumed", async () => {
  await using api = await openApi();
  const { urls } = await api.submit();
  const held = await api.post('/v1/credits/hold', { detail: 'Maintenance until noon.' });
  expect(held).toMatchObject({
    status: 200,
    json: { holds: [{ reason: 'operator', detail: 'Maintenance until noon.' }] },
  });
  expect((await api.get(urls.self)).json.hold).toMatchObject({ reason: 'operator', detail: 'Maintenance until noon.' });
  const resumed = await api.post('/v1/credits/resume');
  expect(resumed).toMatchObject({ status: 200, json: { holds: [], dropped: 0 } });
  expect((await api.get(urls.self)).json).toMatchObject({ status: 'queued', hold: null });
});

test('resume ends no other hold', async () => {
  await using api = await openApi();
  await api.ledger.setHold('unauthorized', 'The key was refused.');
  expect((await api.post('/v1/credits/resume')).json.holds).toMatchObject([{ reason: 'unauthorized' }]);
});

test("dropping the backlog cancels the account's queued jobs and nobody else's", async () => {
  await using api = await openApi({ env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' } });
  const [ann, bob] = [{ authorization: 'Bearer secret-of-ann-1234' }, { authorization: 'Bearer secret-of-bob-1234' }];
  const running = await api.submit({ prompt: 'running' }, ann);
  await api.startCall(running.id);
  await api.post('/v1/credits/hold', {}, ann);
  // More than one chunk.
  await Promise.all(Array.from({ length: 130 }, (_, i) => api.submit({ prompt: `${i}` }, ann)));
  const other = await api.submit({ prompt: 'other' }, bob);
  expect(await api.post('/v1/credits/resume', { backlog: 'drop' }, ann)).toMatchObject({
    status: 200,
    json: { dropped: 130, holds: [] },
  });
  expect((await api.get('/v1/jobs?status=queued', ann)).json.data).toEqual([]);
  expect((await api.get('/v1/jobs?status=canceled&limit=100', ann)).json.data).toHaveLength(100);
  expect((await api.get(`/v1/jobs/${running.id}`, ann)).json).toMatchObject({
    status: 'processing',
    cancel_requested: false,
  });
  expect((await api.get(`/v1/jobs/${other.id}`, bob)).json.status).toBe('queued');
  expect(await api.queue.has({ job: other.id, generation: 1 })).toBe(true);
});

test("dropping the backlog cancels the account's batches that have not ended, and nobody else's", async () => {
  await using api = await openBatchApi({
    env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' },
  });
  const [ann, bob] = [{ authorization: 'Bearer secret-of-ann-1234' }, { authorization: 'Bearer secret-of-bob-1234' }];
  const make = async (headers: Record<string, string>) => (await api.make(undefined, { headers })).id as string;
  const [running, paused, ended, canceled] = [await make(ann), await make(ann), await make(ann), await make(ann)];
  const other = await make(bob);
  await api.post(`/v1/batches/${paused}/pause`, undefined, ann);
  await api.end(ended);
  await api.post(`/v1/batches/${canceled}/cancel`, undefined, ann);
  await api.post('/v1/credits/hold', { detail: 'Stop.' }, ann);
  await api.submit(undefined, ann);
  const resumed = await api.post('/v1/credits/resume', { backlog: 'drop' }, ann);
  expect(resumed).toMatchObject({ status: 200, json: { holds: [], dropped: 1, dropped_batches: 2 } });
  const statusOf = async (id: string, headers: Record<string, string>) =>
    (await api.get(`/v1/batches/${id}`, headers)).json.status;
  for (const id of [running, paused]) {
    expect(await statusOf(id, ann)).toBe('canceling');
    expect(await api.files.readDecision(id)).toMatchObject({ status: 'canceled', by: 'ann', action: 'cancel' });
  }
  expect([await statusOf(ended, ann), await statusOf(other, bob)]).toEqual(['completed', 'running']);
  const [last] = (await api.get('/v1/credits/changes', ann)).json.data;
  expect(last.changes).toEqual([
    { what: 'hold', from: 'Stop.', to: null },
    { what: 'backlog', from: null, to: { jobs: 1, batches: 2 } },
  ]);
  const again = await api.post('/v1/credits/resume', { backlog: 'drop' }, ann);
  expect(again.json).toMatchObject({ dropped: 0, dropped_batches: 0 });
  expect((await api.get('/v1/credits/changes', ann)).json.data).toHaveLength(2);
});

test.each([
  ['hold', { detail: '' }, '/detail'],
  ['hold', { detail: 'x'.repeat(501) }, '/detail'],
  ['hold', { detail: 'Stop.\nAll of it.' }, '/detail'],
  ['hold', { detail: 'Stop.\0' }, '/detail'],
  ['hold', { detail: 'Stop.\x7f' }, '/detail'],
  ['hold', { reason: 'x' }, '/reason'],
  ['resume', { backlog: 'keep' }, '/backlog'],
])('%s refuses %j', async (action, body, pointer) => {
  await using api = await openApi();
  const { status, json } = await api.post(`/v1/credits/${action}`, body);
  expect(status).toBe(400);
  expect(json.errors[0].pointer).toBe(pointer);
  if (pointer === '/detail')
    expect(json.errors[0].detail).toMatch(/^detail must be text of 1 to 500 characters on one line/);
  expect(await api.post(`/v1/credits/${action}`, [])).toMatchObject({ status: 400 });
});
