import { expect, test } from 'vitest';
import { openBatchApi, sharedBatchApi } from './uploading.ts';

const shared = sharedBatchApi();
const json = { 'content-type': 'application/json' };
const ann = { authorization: 'Bearer secret-of-ann-1234' };
const bob = { authorization: 'Bearer secret-of-bob-1234' };

test('the decisions about a batch are listed, the newest first, with who made them and what they changed', async () => {
  const api = shared();
  const { id } = await api.make();
  const patch = (body: object) => api.call('PATCH', `/v1/batches/${id}`, { headers: json, body: JSON.stringify(body) });
  expect((await patch({ budget: 2.5, name: 'Animals', metadata: { order: 7 } })).status).toBe(200);
  expect((await api.post(`/v1/batches/${id}/pause`)).status).toBe(200);
  expect((await api.post(`/v1/batches/${id}/resume`)).status).toBe(200);
  expect((await api.post(`/v1/batches/${id}/cancel`)).status).toBe(200);
  const { status, json: list } = await api.get(`/v1/batches/${id}/changes`);
  expect(status).toBe(200);
  expect(list).toMatchObject({ object: 'list', has_more: false, next: null });
  const at = expect.stringMatching(/^\d{4}-.*Z$/);
  const told = (seq: number, action: string, changes: object[]) => ({
    ...{ object: 'batch_change', seq, at, by: 'default', action, changes },
  });
  expect(list.data).toEqual([
    told(5, 'cancel', [{ what: 'status', from: 'running', to: 'canceled' }]),
    told(4, 'resume', [{ what: 'status', from: 'paused', to: 'running' }]),
    told(3, 'pause', [{ what: 'status', from: 'running', to: 'paused' }]),
    told(2, 'set', [
      { what: 'budget', from: null, to: 2.5 },
      { what: 'name', from: null, to: 'Animals' },
      { what: 'metadata', from: {}, to: { order: 7 } },
    ]),
    told(1, 'create', []),
  ]);
});

test('the list comes in pages, and knows its own bounds', async () => {
  const api = shared();
  const { id } = await api.make();
  for (const action of ['pause', 'resume', 'pause', 'resume']) await api.post(`/v1/batches/${id}/${action}`);
  const pages: number[][] = [];
  let next: string | null = '';
  while (next !== null) {
    const { json: page } = await api.get(`/v1/batches/${id}/changes?limit=2${next && `&after=${next}`}`);
    pages.push(page.data.map(({ seq }: { seq: number }) => seq));
    expect(page.has_more).toBe(page.next !== null);
    next = page.next;
  }
  expect(pages).toEqual([[5, 4], [3, 2], [1]]);
  for (const query of ['limit=0', 'limit=101', 'after=0', 'after=x', 'before=3'])
    expect(await api.get(`/v1/batches/${id}/changes?${query}`)).toMatchObject({
      status: 400,
      json: { code: 'invalid_request' },
    });
});

test('that a batch paused itself is told as nobody’s decision', async () => {
  const api = shared();
  const { id } = await api.make();
  const last = await api.files.readDecision(id);
  if (last === undefined) throw new Error('no decision');
  const hold = { reason: 'batch_failing' as const, since: 1, detail: 'They all fail.' };
  await api.files.writeDecision(id, { ...last, seq: 2, at: 5, status: 'paused', hold });
  const { json: list } = await api.get(`/v1/batches/${id}/changes?limit=1`);
  expect(list.data).toEqual([
    {
      ...{ object: 'batch_change', seq: 2, at: '1970-01-01T00:00:00.005Z', by: null, action: 'pause' },
      changes: [{ what: 'status', from: 'running', to: 'paused' }],
    },
  ]);
  expect(list).toMatchObject({ has_more: true, next: '2' });
});

test('a change by hand is one line of the log, without metadata; a refused one is none', async () => {
  await using api = await openBatchApi({
    env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' },
  });
  const { id } = await api.make(undefined, { headers: ann });
  const audits = () => api.logs.flatMap(({ level, audit }) => (audit === undefined ? [] : [{ level, ...audit }]));
  expect(audits()).toEqual([]);
  expect((await api.post(`/v1/batches/${id}/resume`, undefined, ann)).status).toBe(409);
  expect((await api.post(`/v1/batches/${id}/pause`, undefined, bob)).status).toBe(404);
  expect((await api.get(`/v1/batches/${id}/changes`, bob)).status).toBe(404);
  expect(audits()).toEqual([]);
  const headers = { ...json, ...ann };
  const body = JSON.stringify({ budget: 1, metadata: { secret: 'plan' } });
  await api.call('PATCH', `/v1/batches/${id}`, { headers, body });
  await api.post(`/v1/batches/${id}/pause`, undefined, { ...ann, 'idempotency-key': 'pause-1' });
  await api.post(`/v1/batches/${id}/pause`, undefined, { ...ann, 'idempotency-key': 'pause-1' });
  const common = { level: 30, by: 'ann', batch_id: id };
  expect(audits()).toEqual([
    { ...common, action: 'set', changes: [{ what: 'budget', from: null, to: 1 }, { what: 'metadata' }] },
    { ...common, action: 'pause', changes: [{ what: 'status', from: 'running', to: 'paused' }] },
  ]);
  expect(JSON.stringify(api.logs)).not.toContain('plan');
});
