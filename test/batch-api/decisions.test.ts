import { randomBytes } from 'node:crypto';
import { newId } from '@renderyard/shared/ids';
import { describe, expect, test, vi } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { type BatchApi, CSV, openBatchApi, sharedBatchApi } from './uploading.ts';

const shared = sharedBatchApi();

const act = (api: BatchApi, id: string, action: string, headers: Record<string, string> = {}) =>
  api.post(`/v1/batches/${id}/${action}`, undefined, headers);
const refused = (code: string) => ({ status: 409, json: { code } });

/** Has rows of a running batch fail, as they do in Redis. */
async function fail(api: BatchApi, id: string, rows: number) {
  await api.redis.hset(`${api.prefix}batch:${id}`, { failed: rows, cursor: rows });
  for (let row = 0; row < rows; row++) await api.redis.setbit(`${api.prefix}bits:${id}:failed`, row, 1);
}

describe('pause and resume', () => {
  test('hold a batch and let it go on, in the store and in Redis', async () => {
    const api = shared();
    const { id } = await api.make();
    const paused = await act(api, id, 'pause');
    expect(paused).toMatchObject({
      status: 200,
      json: { id, status: 'paused', hold: { reason: 'batch_paused' }, limited_by: 'hold', eta: null },
    });
    expect(await api.files.readDecision(id)).toMatchObject({
      seq: 2,
      status: 'paused',
      hold: { reason: 'batch_paused' },
    });
    expect(await act(api, id, 'pause')).toMatchObject(refused('batch_paused'));
    const resumed = await api.post(`/v1/batches/${id}/resume`, {});
    expect(resumed).toMatchObject({ status: 200, json: { status: 'running', hold: null } });
    const decision = await api.files.readDecision(id);
    expect(decision).toMatchObject({ seq: 3, status: 'running' });
    expect(decision).not.toHaveProperty('hold');
    expect(await act(api, id, 'resume')).toMatchObject(refused('batch_not_paused'));
  });

  test('of many at once each sees what the one before it decided', async () => {
    const api = shared();
    const { id } = await api.make();
    const answers = await Promise.all(Array.from({ length: 6 }, () => act(api, id, 'pause')));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409, 409]);
    expect(await api.keys(`batches/${id}/decisions/`)).toHaveLength(2);
    const names = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        api.call('PATCH', `/v1/batches/${id}`, {
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(i % 2 === 0 ? { name: `name ${i}` } : { metadata: { i } }),
        }),
      ),
    );
    expect(names.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    const { json } = await api.get(`/v1/batches/${id}`);
    expect(json).toMatchObject({ status: 'paused', name: expect.any(String), metadata: { i: expect.any(Number) } });
    expect(await api.files.readDecision(id)).toMatchObject({ seq: 8, status: 'paused', name: json.name });
  });

  test('20 at once all come into force, one after the other', async () => {
    const api = shared();
    const { id } = await api.make();
    const headers = { 'content-type': 'application/json' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        api.call('PATCH', `/v1/batches/${id}`, { headers, body: JSON.stringify({ budget: i + 1 }) }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(await api.keys(`batches/${id}/decisions/`)).toHaveLength(21);
    const last = await api.files.readDecision(id);
    expect(last).toMatchObject({ seq: 21 });
    expect((await api.states.get(id))?.decision).toBe(21);
  });

  test('a decision that never reached Redis comes into force with the next', async () => {
    const api = shared();
    const { id } = await api.make();
    const last = await api.files.readDecision(id);
    if (last === undefined) throw new Error('no decision');
    await api.files.writeDecision(id, { ...last, seq: 2, status: 'canceled' });
    expect(await act(api, id, 'pause')).toMatchObject(refused('batch_canceled'));
    expect(await api.states.get(id)).toMatchObject({ status: 'canceling', decision: 2 });
  });

  test('a batch that paused itself stays so when something else is decided, and resume goes on', async () => {
    const api = shared();
    const { id } = await api.make();
    const hold = { reason: 'batch_failing', since: 1, detail: 'They all fail.' };
    await api.redis.hset(`${api.prefix}batch:${id}`, { status: 'paused', hold: JSON.stringify(hold) });
    const renamed = await api.call('PATCH', `/v1/batches/${id}`, {
      headers: { 'content-type': 'application/json' },
      body: '{"name":"n"}',
    });
    expect(renamed.json).toMatchObject({ name: 'n', status: 'paused', hold: { reason: 'batch_failing' } });
    expect(await act(api, id, 'resume')).toMatchObject({ status: 200, json: { status: 'running', hold: null } });
  });
});

describe('while Redis was emptied', () => {
  test.each(['pause', 'cancel', 'rename'])('%s says that it is decided, and is in force after that', async (what) => {
    await using redis = await startRedisInstance();
    await using api = await openBatchApi({ redisUrl: redis.url });
    const { id } = await api.make();
    await api.redis.flushall();
    const headers = { 'content-type': 'application/json' };
    const { status, json } =
      what === 'rename'
        ? await api.call('PATCH', `/v1/batches/${id}`, { headers, body: '{"name":"new"}' })
        : await act(api, id, what);
    expect([status, json.code, json.batch_id]).toEqual([503, 'redis_replaced', id]);
    expect(json.detail).toMatch(/^It is decided, and kept in the store\./);
    expect(json.detail).not.toContain('Nothing was changed');
    const expected = { pause: { status: 'paused' }, cancel: { status: 'canceling' }, rename: { name: 'new' } }[what];
    await vi.waitFor(
      async () => {
        const now = await api.get(`/v1/batches/${id}`);
        expect(now).toMatchObject({ status: 200, json: expected });
      },
      { timeout: 15_000, interval: 100 },
    );
    expect(await api.keys(`batches/${id}/decisions/`)).toHaveLength(2);
  });
});

describe('cancel', () => {
  test('is in force in Redis and in the store when it is answered', async () => {
    await using api = await openBatchApi();
    const { id } = await api.make();
    const canceled = await act(api, id, 'cancel');
    expect(canceled).toMatchObject({
      status: 200,
      json: { status: 'canceling', hold: null, limited_by: null, eta: null },
    });
    expect(await api.files.readDecision(id)).toMatchObject({ seq: 2, status: 'canceled' });
    expect(await api.redis.zscore(`${api.prefix}feeding:default`, id)).toBeNull();
    expect(await act(api, id, 'cancel')).toMatchObject({ status: 200, json: { status: 'canceling' } });
    for (const action of ['pause', 'resume', 'retry'])
      expect(await act(api, id, action)).toMatchObject(refused('batch_canceled'));
    await api.end(id, { status: 'canceled' });
    expect(await act(api, id, 'cancel')).toMatchObject(refused('batch_ended'));
    expect((await api.get(`/v1/batches/${id}`)).json).toMatchObject({
      status: 'canceled',
      counts: { canceled: 2, queued: 0 },
    });
  });

  test('repeated with its key after it broke off it is done', async () => {
    const api = shared();
    const { id } = await api.make();
    const key = randomBytes(8).toString('hex');
    await act(api, id, 'cancel', { 'idempotency-key': key });
    const name = `${api.prefix}idempotency:default:${key}`;
    await api.redis.multi().hdel(name, 'answer').hset(name, 'lease', 0).exec();
    await api.end(id, { status: 'canceled' });
    expect(await act(api, id, 'cancel', { 'idempotency-key': key })).toMatchObject({
      status: 200,
      json: { status: 'canceled' },
    });
    expect(await api.keys(`batches/${id}/decisions/`)).toHaveLength(2);
  });
});

describe('retry', () => {
  test('has the failed rows of a running batch rendered again', async () => {
    const api = shared();
    const { id } = await api.make('prompt\na\nb\nc\n');
    expect(await act(api, id, 'retry')).toMatchObject(refused('batch_not_retryable'));
    await fail(api, id, 2);
    const retried = await act(api, id, 'retry');
    expect(retried).toMatchObject({
      status: 202,
      json: { status: 'running', runs: 1, counts: { failed: 0, queued: 3 } },
    });
    expect(await api.files.readDecision(id)).toMatchObject({ seq: 2, runs: 1 });
  });

  test.each(['Redis knows it', 'the store alone knows it'])('opens an ended batch again where %s', async (where) => {
    await using api = await openBatchApi();
    const { id } = await api.make('prompt\na\nb\nc\n');
    await api.end(id, { failed: 2 });
    if (where === 'the store alone knows it') await api.forget(id);
    const retried = await act(api, id, 'retry');
    expect(retried).toMatchObject({
      status: 202,
      json: { status: 'running', runs: 1, cost: 0.06, counts: { succeeded: 1, failed: 0, queued: 2 } },
    });
    expect(await api.keys('open/')).toEqual([`open/${id}`]);
    expect(await api.redis.getbit(`${api.prefix}bits:${id}:ok`, 0)).toBe(1);
    expect(await act(api, id, 'retry')).toMatchObject(refused('batch_not_retryable'));
  });

  test('a retry whose second step failed is made up for by the next decision', async () => {
    const api = shared();
    const { id } = await api.make('prompt\na\nb\nc\n');
    await api.end(id, { failed: 2 });
    const last = await api.files.readDecision(id);
    if (last === undefined) throw new Error('no decision');
    await api.files.writeDecision(id, { ...last, seq: 2, runs: 1 });
    expect(await act(api, id, 'pause')).toMatchObject({
      status: 200,
      json: { status: 'paused', runs: 1, counts: { queued: 2 } },
    });
  });

  test('an ended batch without failed rows has nothing to retry, resume, pause or cancel', async () => {
    const api = shared();
    const { id } = await api.make();
    await api.end(id);
    expect(await act(api, id, 'retry')).toMatchObject(refused('batch_not_retryable'));
    for (const action of ['pause', 'resume', 'cancel'])
      expect(await act(api, id, action)).toMatchObject(refused('batch_ended'));
  });
});

describe('a PATCH', () => {
  const patch = (api: BatchApi, id: string, body: unknown) =>
    api.call('PATCH', `/v1/batches/${id}`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  test('changes name, budget and metadata, and leaves the rest', async () => {
    const api = shared();
    const { id } = await api.make(CSV, { query: { name: 'old', metadata: '{"a":1}' } });
    expect(await patch(api, id, { budget: 3.5 })).toMatchObject({
      status: 200,
      json: { name: 'old', budget: 3.5, metadata: { a: 1 }, status: 'running' },
    });
    expect((await patch(api, id, { name: null, metadata: { b: 2 } })).json).toMatchObject({
      ...{ name: null, budget: 3.5, metadata: { b: 2 } },
    });
    expect((await patch(api, id, { budget: null })).json.budget).toBeNull();
    expect((await patch(api, id, {})).status).toBe(200);
    expect(await api.keys(`batches/${id}/decisions/`)).toHaveLength(4);
  });

  test('raises the budget that a batch stopped at, and it goes on', async () => {
    const api = shared();
    const { id } = await api.make(CSV, { query: { budget: '0.02' } });
    const hold = { reason: 'batch_budget', since: 1, detail: 'Used up.' };
    await api.redis.hset(`${api.prefix}batch:${id}`, {
      status: 'paused',
      hold: JSON.stringify(hold),
      cost: 20_000_000,
    });
    expect(await act(api, id, 'resume')).toMatchObject(refused('batch_over_budget'));
    expect((await patch(api, id, { budget: 0.01 })).json).toMatchObject({
      status: 'paused',
      hold: { reason: 'batch_budget' },
    });
    expect((await patch(api, id, { budget: 1 })).json).toMatchObject({ status: 'running', hold: null, budget: 1 });
  });

  test('names an ended batch anew', async () => {
    await using api = await openBatchApi();
    const { id } = await api.make();
    await api.end(id, { failed: 1 });
    expect((await patch(api, id, { name: 'later' })).json).toMatchObject({
      name: 'later',
      status: 'completed',
      counts: { failed: 1 },
    });
    expect((await api.get('/v1/batches')).json.data).toMatchObject([{ id, name: 'later', status: 'completed' }]);
    expect(await api.keys('open/')).toEqual([]);
  });

  test('tells all that is wrong', async () => {
    const api = shared();
    const { id } = await api.make();
    const { status, json } = await patch(api, id, {
      name: 7,
      budget: 0,
      metadata: 'x',
      webhook: 'y',
      status: 'running',
    });
    expect(status).toBe(400);
    expect(
      json.errors.map(({ pointer, code }: { pointer: string; code: string }) => `${pointer} ${code}`).sort(),
    ).toEqual([
      '/budget out_of_range',
      '/metadata wrong_type',
      '/name wrong_type',
      '/status unknown_field',
      '/webhook invalid_format',
    ]);
    expect((await patch(api, id, [])).status).toBe(400);
  });
});

test('what another account made, or nobody, is not found', async () => {
  await using api = await openBatchApi({
    env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' },
  });
  const as = (name: string) => ({ authorization: `Bearer secret-of-${name}-1234` });
  const made = await api.make(CSV, { headers: as('ann') });
  expect((await api.get(`/v1/batches/${made.id}`, as('ann'))).status).toBe(200);
  expect((await api.get('/v1/batches', as('bob'))).json.data).toEqual([]);
  for (const id of [made.id, newId('bat'), 'bat_x', '../x']) {
    const path = `/v1/batches/${encodeURIComponent(id)}`;
    const answers = await Promise.all([
      api.get(path, as('bob')),
      api.call('PATCH', path, { headers: { 'content-type': 'application/json', ...as('bob') }, body: '{"name":"x"}' }),
      api.call('DELETE', path, { headers: as('bob') }),
      ...['pause', 'resume', 'cancel', 'retry'].map((action) => api.post(`${path}/${action}`, undefined, as('bob'))),
    ]);
    expect(answers.map(({ status, json }) => [status, json.code])).toEqual(answers.map(() => [404, 'not_found']));
  }
});
