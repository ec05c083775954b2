import { expect, test } from 'vitest';
import { openApi, sharedApi } from './running-api.ts';

const shared = sharedApi();

test('a job is accepted with every default filled in, and can be read where Location says', async () => {
  await using api = await openApi();
  const { status, headers, json } = await api.post('/v1/jobs', {
    input: { prompt: 'A fox', steps: 20 },
    metadata: { order: 7, tags: ['a', { b: null }] },
    expires_in: 60,
  });
  expect(status).toBe(202);
  expect(headers.get('location')).toBe(json.urls.self);
  expect(json).toMatchObject({
    id: expect.stringMatching(/^job_[0-9a-z]{26}$/),
    object: 'job',
    status: 'queued',
    hold: null,
    cancel_requested: false,
    model: 'stable-diffusion-3.5-large-txt2img',
    input: { prompt: 'A fox', steps: 20, guidance_scale: 5.5, seed: expect.any(Number), base64: false },
    output: [],
    error: null,
    attempts: 0,
    uncertain: 0,
    cost: 0,
    batch_id: null,
    row: null,
    metadata: { order: 7, tags: ['a', { b: null }] },
    webhook: null,
    webhook_events_filter: null,
    started_at: null,
    ended_at: null,
    urls: {
      self: `${api.url}/v1/jobs/${json.id}`,
      image: `${api.url}/v1/jobs/${json.id}/image`,
      cancel: `${api.url}/v1/jobs/${json.id}/cancel`,
      retry: `${api.url}/v1/jobs/${json.id}/retry`,
    },
  });
  expect(Date.parse(json.expires_at) - Date.parse(json.created_at)).toBe(60_000);
  const read = await api.get(json.urls.self);
  expect(read.json).toEqual(json);
});

test('an accepted job stands in the queue, up to the window', async () => {
  await using api = await openApi();
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) ids.push((await api.submit()).id);
  const standing = await Promise.all(ids.map((job) => api.queue.has({ job, generation: 1 })));
  expect(standing).toEqual([true, true, true, true, false, false]);
});

test('a prompt is carried byte for byte', async () => {
  await using api = await openApi();
  const prompt = ' \u0000\u001f"\\ é e\u0301 日本 😀 \u2028 <b>&amp;</b> {{x}} \r\n\t\uffff ';
  const { id, input } = await api.submit({ prompt });
  expect(input.prompt).toBe(prompt);
  expect((await api.get(`/v1/jobs/${id}`)).json.input.prompt).toBe(prompt);
  expect((await api.jobs.get(id))?.input.prompt).toBe(prompt);
});

test('everything that is wrong is told at once, by pointer', async () => {
  await using api = await openApi();
  const { status, json } = await api.post('/v1/jobs', {
    input: { prompt: '  ', stepz: 20, width: 63, 'a/b~c': 1 },
    prompt: 'A fox',
    model: 'other',
    webhook: 'example.com',
    metadata: { a: { b: { c: { d: { e: {} } } } } },
    expires_in: 0.5,
    surprise: 1,
  });
  expect(status).toBe(400);
  expect(json.code).toBe('invalid_request');
  const found = Object.fromEntries(json.errors.map((each: { pointer: string }) => [each.pointer, each]));
  expect(found['/prompt']).toMatchObject({
    code: 'unknown_field',
    detail: expect.stringContaining('belong into input'),
  });
  expect(found['/webhook']).toMatchObject({ code: 'invalid_format', detail: expect.stringContaining('https://') });
  expect(found['/surprise']).toMatchObject({ code: 'unknown_field', detail: expect.stringContaining('expires_in') });
  expect(found['/model']).toMatchObject({ code: 'unknown_model' });
  expect(found['/input/stepz']).toMatchObject({ code: 'unknown_parameter', detail: expect.stringContaining('steps') });
  expect(found['/input/a~1b~0c']).toMatchObject({ code: 'unknown_parameter' });
  expect(found['/input/width']).toMatchObject({ code: 'out_of_range', detail: expect.stringContaining('64 to 2048') });
  expect(found['/input/prompt']).toMatchObject({ code: 'invalid_format' });
  expect(found['/metadata/a/b/c/d/e']).toMatchObject({ code: 'too_deep' });
  expect(found['/expires_in']).toMatchObject({ code: 'out_of_range' });
  expect((await api.get('/v1/jobs')).json.data).toEqual([]);
});

test.each([
  ['no body', undefined, '', 'required'],
  ['null', null, '', 'wrong_type'],
  ['a list', [], '', 'wrong_type'],
  ['no input', {}, '/input', 'required'],
  ['a list as input', { input: [] }, '/input', 'wrong_type'],
  ['a number as model', { input: { prompt: 'x' }, model: 1 }, '/model', 'wrong_type'],
  ['a text as metadata', { input: { prompt: 'x' }, metadata: 'x' }, '/metadata', 'wrong_type'],
  ['much metadata', { input: { prompt: 'x' }, metadata: { a: 'x'.repeat(16_384) } }, '/metadata', 'too_large'],
  ['a number too large', { input: { prompt: 'x' }, metadata: { n: 2 ** 53 } }, '/metadata/n', 'not_exact'],
  ['a text as expiry', { input: { prompt: 'x' }, expires_in: '60' }, '/expires_in', 'wrong_type'],
  ['half a surrogate pair', { input: { prompt: '\ud83d' } }, '/input/prompt', 'invalid_format'],
])('%s is refused', async (_name, body, pointer, code) => {
  const api = shared();
  const { status, json } = await api.post('/v1/jobs', body);
  expect(status).toBe(400);
  expect(json.errors).toContainEqual({ pointer, code, detail: expect.any(String) });
});

test('a full backlog is told, and nothing is accepted', async () => {
  await using api = await openApi({ env: { MAX_WAITING_JOBS: '1', FEED_WINDOW: '1' } });
  await api.submit();
  await api.submit();
  const { status, headers, json } = await api.post('/v1/jobs', { input: { prompt: 'One too many' } });
  expect([status, json.code]).toEqual([503, 'backlog_full']);
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await api.get('/v1/jobs')).json.data).toHaveLength(2);
});
