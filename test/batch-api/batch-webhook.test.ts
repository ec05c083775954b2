import { describe, expect, test, vi } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { type BatchApi, CSV, form, openBatchApi, sharedBatchApi } from './uploading.ts';

const shared = sharedBatchApi();
/** Public addresses, so that no name is looked up; nothing is sent here. */
const RECEIVER = 'https://93.184.215.14/hooks?order=7';
const OTHER = 'https://93.184.215.14/others';
const OWN = ['batch.progress', 'batch.paused', 'batch.completed', 'batch.canceled'];
const places = (json: { errors: { pointer: string; code: string }[] }) =>
  json.errors.map(({ pointer, code }) => `${pointer} ${code}`).sort();
const patch = (api: BatchApi, id: string, body: object) =>
  api.call('PATCH', `/v1/batches/${id}`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const told = ({ webhook, webhook_events_filter: types }: { webhook: unknown; webhook_events_filter: unknown }) => [
  webhook,
  types,
];
/** What tell.lua goes by. */
const inRedis = (api: BatchApi, id: string) => api.redis.hmget(`${api.prefix}batch:${id}`, 'webhook', 'webhook_events');

describe('a batch is given who is told of it, and of what', () => {
  const types = ['batch.completed', 'job.failed'];
  const json = (members: object) => JSON.stringify({ items: [{ prompt: 'A fox' }], ...members });
  const query = { webhook: RECEIVER, webhook_events_filter: 'job.failed, batch.completed' };

  test.each([
    ['in the query', CSV, { query }],
    ['in fields of a form', form(CSV, query), {}],
    ['beside items', json({ webhook: RECEIVER, webhook_events_filter: types }), { type: 'application/json' }],
    [
      'in a JSON file of a form',
      form(json({ webhook: RECEIVER, webhook_events_filter: types }), {}, 'prompts.json'),
      {},
    ],
  ])('%s', async (_name, body, options) => {
    const api = shared();
    const made = await api.make(body as string, options);
    expect(told(made)).toEqual([RECEIVER, types]);
    expect(told((await api.get(`/v1/batches/${made.id}`)).json)).toEqual([RECEIVER, types]);
    expect(await api.files.readDecision(made.id)).toMatchObject({ seq: 1, webhook: RECEIVER, webhook_events: types });
    expect(await inRedis(api, made.id)).toEqual([RECEIVER, ' batch.completed job.failed ']);
  });

  test('with a webhook alone it hears the events of the batch', async () => {
    const api = shared();
    const made = await api.make(CSV, { query: { webhook: RECEIVER } });
    expect(told(made)).toEqual([RECEIVER, OWN]);
    expect(await api.files.readDecision(made.id)).not.toHaveProperty('webhook_events');
    expect(await inRedis(api, made.id)).toEqual([RECEIVER, ` ${OWN.join(' ')} `]);
  });

  test('with a filter alone the endpoints of the account hear of the rows', async () => {
    const api = shared();
    const made = await api.make(CSV, { query: { webhook_events_filter: 'job.failed' } });
    expect(told(made)).toEqual([null, ['job.failed']]);
    expect(await inRedis(api, made.id)).toEqual([null, ' job.failed ']);
  });

  test('with neither nobody else hears of it', async () => {
    const api = shared();
    const made = await api.make(CSV, { query: { webhook: '', webhook_events_filter: '' } });
    expect(told(made)).toEqual([null, null]);
    expect(await api.files.readDecision(made.id)).not.toHaveProperty('webhook');
    expect(await inRedis(api, made.id)).toEqual([null, null]);
  });

  test('a dry run shows it', async () => {
    const api = shared();
    const { status, json } = await api.upload(CSV, { query: { ...query, dry_run: 'true' } });
    expect([status, ...told(json)]).toEqual([200, RECEIVER, types]);
  });
});

describe('what is wrong is told, whether it is a dry run or not', () => {
  test.each([
    [{ webhook: 'example.com' }, '?webhook invalid_format', 'https://'],
    [{ webhook: 'http://169.254.169.254/' }, '?webhook webhook_url_refused', 'WEBHOOK_ALLOW_CIDRS'],
    [{ webhook_events_filter: 'job.suceeded' }, '?webhook_events_filter unknown_event_type', 'Did you mean job.succ'],
    [{ webhook_events_filter: 'credits.low' }, '?webhook_events_filter unknown_event_type', 'of a batch'],
    [{ webhook_events_filter: 'job.failed,job.failed' }, '?webhook_events_filter duplicate_name', 'Name it once'],
  ])('%j', async (query, problem, words) => {
    const api = shared();
    for (const dry of [{}, { dry_run: 'true' }]) {
      const { status, json } = await api.upload(CSV, { query: { ...query, ...dry } });
      expect([status, json.code, places(json)]).toEqual([400, 'invalid_request', [problem]]);
      expect(json.detail).toContain(words);
    }
  });

  test.each([
    [{ webhook: 7 }, '/webhook wrong_type'],
    [{ webhook: 'http://10.0.0.1/' }, '/webhook webhook_url_refused'],
    [{ webhook_events_filter: 'job.failed' }, '/webhook_events_filter wrong_type'],
    [{ webhook_events_filter: [] }, '/webhook_events_filter out_of_range'],
    [{ webhook_events_filter: ['batch.completed', 7] }, '/webhook_events_filter/1 wrong_type'],
    [{ webhook_events_filter: ['endpoint.disabled'] }, '/webhook_events_filter/0 unknown_event_type'],
  ])('%j in JSON and in a PATCH', async (members, problem) => {
    const api = shared();
    const body = JSON.stringify({ items: [{ prompt: 'A fox' }], ...members });
    const upload = await api.upload(body, { type: 'application/json' });
    expect([upload.status, places(upload.json)]).toEqual([400, [problem]]);
    const { id } = await api.make(CSV, { query: { webhook: RECEIVER } });
    const patched = await patch(api, id, members);
    expect([patched.status, places(patched.json)]).toEqual([400, [problem]]);
    expect(await api.keys(`batches/${id}/decisions/`)).toHaveLength(1);
  });

  test('a list in a form is no list twice', async () => {
    const api = shared();
    const file = JSON.stringify({ items: [{ prompt: 'A fox' }], name: ['a', 'b'], budget: [1], metadata: [2] });
    const { status, json } = await api.upload(form(file, {}, 'prompts.json'));
    expect([status, places(json)]).toEqual([400, ['/budget wrong_type', '/metadata wrong_type', '/name wrong_type']]);
  });
});

test('an upload with another webhook or filter is another one under the same key', async () => {
  const api = shared();
  const under = (query: Record<string, string>) => ({ headers: { 'idempotency-key': 'webhook-1' }, query });
  const query = { webhook: RECEIVER, webhook_events_filter: 'job.failed,job.expired' };
  const { id } = await api.make(CSV, under(query));
  for (const other of [{ ...query, webhook: OTHER }, { ...query, webhook_events_filter: 'job.failed' }, {}])
    expect(await api.upload(CSV, under(other))).toMatchObject({
      status: 422,
      json: { code: 'idempotency_key_reused' },
    });
  const again = await api.upload(CSV, under({ ...query, webhook_events_filter: 'job.expired , job.failed' }));
  expect([again.status, again.json.id]).toEqual([202, id]);
});

describe('a PATCH', () => {
  test('sets, changes and takes away who is told, and leaves the rest', async () => {
    const api = shared();
    const { id } = await api.make(CSV, { query: { name: 'n', budget: '2' } });
    const steps = [
      [{ webhook: RECEIVER }, [RECEIVER, OWN], [RECEIVER, ` ${OWN.join(' ')} `]],
      [{ webhook_events_filter: ['job.failed'] }, [RECEIVER, ['job.failed']], [RECEIVER, ' job.failed ']],
      [{ webhook: OTHER }, [OTHER, ['job.failed']], [OTHER, ' job.failed ']],
      [{ name: 'n' }, [OTHER, ['job.failed']], [OTHER, ' job.failed ']],
      [{ webhook_events_filter: null }, [OTHER, OWN], [OTHER, ` ${OWN.join(' ')} `]],
      [{ webhook: null }, [null, null], [null, null]],
    ] as const;
    for (const [body, shown, kept] of steps) {
      const { status, json } = await patch(api, id, body);
      expect([status, ...told(json)]).toEqual([200, ...shown]);
      expect(json).toMatchObject({ name: 'n', budget: 2, status: 'running' });
      expect(await inRedis(api, id)).toEqual(kept);
    }
    const { json: list } = await api.get(`/v1/batches/${id}/changes`);
    expect(list.data.map(({ changes }: { changes: object[] }) => changes).reverse()).toEqual([
      [],
      [{ what: 'webhook', from: null, to: RECEIVER }],
      [{ what: 'webhook_events_filter', from: null, to: ['job.failed'] }],
      [{ what: 'webhook', from: RECEIVER, to: OTHER }],
      [],
      [{ what: 'webhook_events_filter', from: ['job.failed'], to: null }],
      [{ what: 'webhook', from: OTHER, to: null }],
    ]);
    const decision = await api.files.readDecision(id);
    for (const name of ['webhook', 'webhook_events']) expect(decision).not.toHaveProperty(name);
  });

  test('is told in the log without the URL, which may hold a token', async () => {
    await using api = await openBatchApi();
    const { id } = await api.make();
    await patch(api, id, { webhook: RECEIVER, webhook_events_filter: ['job.failed'] });
    const audits = api.logs.flatMap(({ audit }) => (audit === undefined ? [] : [audit.changes]));
    expect(audits).toEqual([[{ what: 'webhook' }, { what: 'webhook_events_filter', from: null, to: ['job.failed'] }]]);
    expect(JSON.stringify(api.logs)).not.toContain('93.184.215.14');
  });
});

describe('who is told of a batch stays', () => {
  const query = { webhook: RECEIVER, webhook_events_filter: 'batch.completed,job.failed' };
  const types = ['batch.completed', 'job.failed'];
  const field = ' batch.completed job.failed ';

  test('while it is paused and goes on', async () => {
    const api = shared();
    const { id } = await api.make(CSV, { query });
    for (const action of ['pause', 'resume']) {
      const { status, json } = await api.post(`/v1/batches/${id}/${action}`);
      expect([status, ...told(json)]).toEqual([200, RECEIVER, types]);
    }
    expect(await api.files.readDecision(id)).toMatchObject({ seq: 3, webhook: RECEIVER, webhook_events: types });
    expect(await inRedis(api, id)).toEqual([RECEIVER, field]);
  });

  test.each(['Redis knows it', 'the store alone knows it'])(
    'when its failed rows are retried where %s',
    async (where) => {
      const api = shared();
      const { id } = await api.make('prompt\na\nb\n', { query });
      await api.end(id, { failed: 1 });
      if (where === 'the store alone knows it') {
        await api.forget(id);
        expect(told((await api.get(`/v1/batches/${id}`)).json)).toEqual([RECEIVER, types]);
      }
      const { status, json } = await api.post(`/v1/batches/${id}/retry`);
      expect([status, json.runs, ...told(json)]).toEqual([202, 1, RECEIVER, types]);
      expect(await api.files.readDecision(id)).toMatchObject({ seq: 2, webhook: RECEIVER, webhook_events: types });
      expect(await inRedis(api, id)).toEqual([RECEIVER, field]);
    },
  );

  test('when Redis is rebuilt from the store', async () => {
    await using redis = await startRedisInstance();
    await using api = await openBatchApi({ redisUrl: redis.url });
    const first = await api.make(CSV, { query });
    const second = await api.make(CSV, { query: { webhook: RECEIVER } });
    await patch(api, second.id, { webhook_events_filter: ['job.expired'] });
    await api.redis.flushall();
    await vi.waitFor(
      async () => {
        const answers = await Promise.all([first, second].map(({ id }) => api.get(`/v1/batches/${id}`)));
        expect(answers.map(({ status, json }) => [status, ...told(json)])).toEqual([
          [200, RECEIVER, types],
          [200, RECEIVER, ['job.expired']],
        ]);
      },
      { timeout: 15_000, interval: 100 },
    );
    expect(await inRedis(api, first.id)).toEqual([RECEIVER, field]);
    expect(await inRedis(api, second.id)).toEqual([RECEIVER, ' job.expired ']);
  });
});
