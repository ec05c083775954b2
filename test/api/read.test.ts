import { newId } from '@renderyard/shared/ids';
import { expect, test } from 'vitest';
import { openApi, sharedApi } from './running-api.ts';

const shared = sharedApi();

test('jobs are listed the newest first, a page at a time', async () => {
  await using api = await openApi();
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.unshift((await api.submit()).id);
  const pages: string[][] = [];
  let path = '/v1/jobs?limit=2';
  for (;;) {
    const { json } = await api.get(path);
    expect(json.object).toBe('list');
    pages.push(json.data.map((job: { id: string }) => job.id));
    expect(json.has_more).toBe(json.next !== null);
    if (!json.has_more) break;
    path = `/v1/jobs?limit=2&after=${json.next}`;
  }
  expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
});

test('a list is narrowed to a status', async () => {
  await using api = await openApi();
  const [first, second] = [await api.submit(), await api.submit()];
  await api.succeed(first.id);
  expect((await api.get('/v1/jobs?status=succeeded')).json.data).toMatchObject([{ id: first.id, status: 'succeeded' }]);
  expect((await api.get('/v1/jobs?status=queued')).json.data).toMatchObject([{ id: second.id }]);
});

test.each([
  ['limit=0', '?limit', 'out_of_range'],
  ['limit=101', '?limit', 'out_of_range'],
  ['limit=5.5', '?limit', 'wrong_type'],
  ['limit=', '?limit', 'wrong_type'],
  ['limit=1&limit=2', '?limit', 'wrong_type'],
  ['status=done', '?status', 'invalid_format'],
  ['after=', '?after', 'invalid_format'],
  ['after=[x', '?after', 'invalid_format'],
  ['page=2', '?page', 'unknown_field'],
  ['__proto__=1', '?__proto__', 'unknown_field'],
])('the query %s is refused', async (query, pointer, code) => {
  const api = shared();
  const { status, json } = await api.get(`/v1/jobs?${query}`);
  expect(status).toBe(400);
  expect(json.errors).toEqual([{ pointer, code, detail: expect.any(String) }]);
});

test.each(['job_x', newId('job'), newId('bat'), '%00', '..%2f..', 'x'.repeat(500)])(
  'the job %j is not found',
  async (id) => {
    const api = shared();
    for (const path of [`/v1/jobs/${id}`, `/v1/jobs/${id}/image`])
      expect(await api.get(path)).toMatchObject({ status: 404, json: { code: 'not_found' } });
    for (const path of [`/v1/jobs/${id}/cancel`, `/v1/jobs/${id}/retry`])
      expect(await api.post(path)).toMatchObject({ status: 404, json: { code: 'not_found' } });
  },
);

test('a queued job shows the gravest hold, an ended one none', async () => {
  await using api = await openApi();
  const [waiting, ended] = [await api.submit(), await api.submit()];
  await api.fail(ended.id);
  await api.ledger.setHold('credits', 'The credits left are kept.');
  await api.ledger.setHold('operator', 'Maintenance.');
  const { json } = await api.get('/v1/jobs');
  expect(json.data).toMatchObject([
    { id: ended.id, status: 'failed', hold: null, error: { code: 'bad_image', detail: 'The image is cut off.' } },
    { id: waiting.id, hold: { reason: 'operator', detail: 'Maintenance.', since: expect.stringMatching(/Z$/) } },
  ]);
});

test('models are described by the JSON Schema of what users give', async () => {
  await using api = await openApi();
  const list = await api.get('/v1/models');
  const [model] = list.json.data;
  expect(model).toMatchObject({ object: 'model', default: true, parameters: { required: ['prompt'] } });
  expect(model.parameters.properties.steps).toMatchObject({ type: 'integer', minimum: 10, maximum: 70, default: 30 });
  expect((await api.get(`/v1/models/${model.slug}`)).json).toEqual(model);
  expect(await api.get('/v1/models/other')).toMatchObject({ status: 404 });
});
