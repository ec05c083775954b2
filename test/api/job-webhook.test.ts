import { expect, test, vi } from 'vitest';
import { freshBucket } from '../support/bucket.ts';
import { openApi, sharedApi } from './running-api.ts';

const shared = sharedApi();
const input = { prompt: 'A fox' };
/** A public address, so that no name is looked up; nothing is sent here. */
const RECEIVER = 'https://93.184.215.14/hooks?order=7';
const places = (json: { errors: { pointer: string; code: string }[] }) =>
  json.errors.map(({ pointer, code }) => `${pointer} ${code}`).sort();

test('a job keeps who is told of it, and of which events', async () => {
  const api = shared();
  const types = ['job.failed', 'job.expired'];
  const { status, json } = await api.post('/v1/jobs', { input, webhook: RECEIVER, webhook_events_filter: types });
  expect([status, json.webhook, json.webhook_events_filter]).toEqual([202, RECEIVER, types]);
  expect((await api.get(`/v1/jobs/${json.id}`)).json).toEqual(json);
  expect(await api.jobs.get(json.id)).toMatchObject({ webhook: RECEIVER, webhookEvents: types });
});

test('without a filter all events of a job go to its webhook', async () => {
  const api = shared();
  const { json } = await api.post('/v1/jobs', { input, webhook: RECEIVER, webhook_events_filter: null });
  const all = ['job.succeeded', 'job.failed', 'job.canceled', 'job.expired'];
  expect([json.webhook, json.webhook_events_filter]).toEqual([RECEIVER, all]);
  expect((await api.jobs.get(json.id))?.webhookEvents).toEqual(all);
});

test('a webhook that is null counts as left out', async () => {
  const api = shared();
  const { status, json } = await api.post('/v1/jobs', { input, webhook: null });
  expect([status, json.webhook, json.webhook_events_filter]).toEqual([202, null, null]);
  expect(await api.redis.hexists(`${api.prefix}job:${json.id}`, 'webhook')).toBe(0);
});

test('a job that is retried tells the same as before', async () => {
  const api = shared();
  const { json } = await api.post('/v1/jobs', { input, webhook: RECEIVER, webhook_events_filter: ['job.succeeded'] });
  await api.fail(json.id);
  const retried = await api.post(`/v1/jobs/${json.id}/retry`);
  expect(retried).toMatchObject({
    status: 202,
    json: { webhook: RECEIVER, webhook_events_filter: ['job.succeeded'] },
  });
});

test.each([
  ['a number', 7, '/webhook wrong_type'],
  ['no URL', 'example.com/hooks', '/webhook invalid_format'],
  ['another scheme', 'ftp://93.184.215.14/', '/webhook invalid_format'],
  ['a fragment', `${RECEIVER}#here`, '/webhook invalid_format'],
  ['a user and a password', 'https://ann:secret@93.184.215.14/', '/webhook webhook_url_refused'],
  ['this machine', 'http://127.0.0.1/', '/webhook webhook_url_refused'],
  ['this machine, written as a number', 'http://2130706433/', '/webhook webhook_url_refused'],
  ['this machine by its name', 'https://localhost/', '/webhook webhook_url_refused'],
  ['a private network', 'http://[::ffff:10.0.0.1]/', '/webhook webhook_url_refused'],
  ['the metadata of a cloud', 'http://169.254.169.254/latest/', '/webhook webhook_url_refused'],
])('%s is refused as a webhook', async (_name, webhook, problem) => {
  const api = shared();
  const { status, json } = await api.post('/v1/jobs', { input, webhook });
  expect([status, json.code, places(json)]).toEqual([400, 'invalid_request', [problem]]);
  expect(JSON.stringify(json)).not.toContain('secret');
});

test.each([
  ['a text', 'job.failed', '/webhook_events_filter wrong_type', 'list of event types'],
  ['no type', [], '/webhook_events_filter out_of_range', 'at least one'],
  ['a type twice', ['job.failed', 'job.failed'], '/webhook_events_filter/1 duplicate_name', 'Name it once'],
  ['a misspelt type', ['job.suceeded'], '/webhook_events_filter/0 unknown_event_type', 'Did you mean job.succeeded?'],
  ['a type of batches', ['job.failed', 'batch.completed'], '/webhook_events_filter/1 unknown_event_type', 'of a job'],
  ['a type of the books', ['credits.low'], '/webhook_events_filter/0 unknown_event_type', 'of a job'],
  ['an endless list', Array(51).fill('credits.low'), '/webhook_events_filter out_of_range', 'names 51 event types'],
])('%s is refused as the filter of a job', async (_name, webhook_events_filter, problem, words) => {
  const api = shared();
  const { status, json } = await api.post('/v1/jobs', { input, webhook: RECEIVER, webhook_events_filter });
  expect([status, places(json)]).toEqual([400, [problem]]);
  expect(json.detail).toContain(words);
});

test('a filter without a webhook is refused', async () => {
  const api = shared();
  const { status, json } = await api.post('/v1/jobs', { input, webhook_events_filter: ['job.failed'] });
  expect([status, places(json)]).toEqual([400, ['/webhook required']]);
  expect(json.detail).toContain('webhook_events_filter');
  // One that is wrong is there: that it is wrong says enough.
  const wrong = await api.post('/v1/jobs', { input, webhook: 'x', webhook_events_filter: ['job.failed'] });
  expect(places(wrong.json)).toEqual(['/webhook invalid_format']);
});

test('with a network that is allowed a job may tell a receiver in it', async () => {
  await using api = await openApi({ env: { WEBHOOK_ALLOW_CIDRS: '10.1.0.0/16' } });
  const ask = (webhook: string) => api.post('/v1/jobs', { input, webhook });
  expect((await ask('http://10.1.2.3:9000/x')).status).toBe(202);
  expect(places((await ask('http://10.2.2.3:9000/x')).json)).toEqual(['/webhook webhook_url_refused']);
});

test('with a bucket and no secret that lasts, a webhook of its own is refused, and nothing else', async () => {
  const bucket = await freshBucket();
  for (const [name, value] of Object.entries(bucket.env)) vi.stubEnv(name, value);
  try {
    await using api = await openApi({ env: bucket.env });
    const { status, json } = await api.post('/v1/jobs', { input, webhook: RECEIVER });
    expect([status, json.code]).toEqual([409, 'secret_key_missing']);
    expect((await api.post('/v1/jobs', { input })).status).toBe(202);
    const upload = (query: string) =>
      api.call('POST', `/v1/batches?${query}`, { headers: { 'content-type': 'text/csv' }, body: 'prompt\nA fox\n' });
    expect((await upload(`webhook=${encodeURIComponent(RECEIVER)}`)).json.code).toBe('secret_key_missing');
    const made = await upload('webhook_events_filter=job.failed');
    expect(made.status).toBe(202);
    const patched = await api.call('PATCH', `/v1/batches/${made.json.id}`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ webhook: RECEIVER }),
    });
    expect([patched.status, patched.json.code]).toEqual([409, 'secret_key_missing']);
  } finally {
    vi.unstubAllEnvs();
  }
});
