import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startApi } from '@renderyard/api/start-api';
import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { describe, expect, inject, test } from 'vitest';
import { type Api, openApi } from '../api/running-api.ts';

/** A public address that nobody is asked for: these tests send nothing. */
const URL_A = 'https://93.184.215.14/hooks/a?token=abc';
const URL_B = 'https://93.184.215.14/hooks/b';
const KEYS = { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' };
const ann = { authorization: 'Bearer secret-of-ann-1234' };
const bob = { authorization: 'Bearer secret-of-bob-1234' };
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
const create = (api: Api, body: object = { url: URL_A }, headers: Record<string, string> = {}) =>
  api.post('/v1/webhooks', body, headers);
const patch = (api: Api, id: string, body: unknown, headers: Record<string, string> = {}) =>
  api.call('PATCH', `/v1/webhooks/${id}`, {
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const remove = (api: Api, id: string, headers: Record<string, string> = {}) =>
  api.call('DELETE', `/v1/webhooks/${id}`, { headers });
const decisions = (api: Api, account = 'default') =>
  readdir(join(api.dataDir, 'store', 'webhooks', account)).catch(() => []);
/** Which types each enabled endpoint hears, as the scripts read it that tell of events. */
const heard = (api: Api, account = 'default') => api.redis.hgetall(`${api.prefix}hooks:${account}`);

describe('a webhook', () => {
  test('is made, read, listed, changed and deleted', async () => {
    await using api = await openApi();
    const made = await create(api, { url: URL_A, events: ['job.succeeded', 'job.failed'], description: 'Orders' });
    const { id } = made.json;
    const shown = {
      ...{ id: expect.stringMatching(/^whk_/), object: 'webhook', url: URL_A, description: 'Orders' },
      ...{ events: ['job.succeeded', 'job.failed'], state: 'enabled', disabled: null },
      ...{ failing_since: null, missed_since: null, last_success_at: null, last_failure_at: null, waiting: 0 },
      ...{ secrets: [{ created_at: TIME, expires_at: null }], created_at: TIME },
      urls: {
        self: `${api.url}/v1/webhooks/${id}`,
        secret: `${api.url}/v1/webhooks/${id}/secret`,
        deliveries: `${api.url}/v1/deliveries?webhook_id=${id}`,
      },
    };
    expect(made).toMatchObject({ status: 201 });
    expect(made.headers.get('location')).toBe(`${api.url}/v1/webhooks/${id}`);
    expect(made.json).toEqual({ ...shown, secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) });
    expect((await api.get(`/v1/webhooks/${id}`)).json).toEqual(shown);
    expect((await api.get('/v1/webhooks')).json).toEqual({
      object: 'list',
      data: [shown],
      has_more: false,
      next: null,
    });
    expect((await api.get(`/v1/webhooks/${id}/secret`)).json).toEqual({
      object: 'webhook_secret',
      secret: made.json.secret,
    });
    expect(await heard(api)).toEqual({ [id]: ' job.succeeded job.failed ' });

    const changed = await patch(api, id, { url: URL_B, events: null, description: null });
    expect(changed).toMatchObject({ status: 200, json: { url: URL_B, events: null, description: null } });
    expect(await heard(api)).toEqual({ [id]: '*' });

    const deleted = await remove(api, id);
    expect([deleted.status, deleted.json]).toEqual([204, '']);
    expect(await heard(api)).toEqual({});
    expect(await api.redis.exists(`${api.prefix}hook:${id}`)).toBe(0);
    for (const answer of [await api.get(`/v1/webhooks/${id}`), await remove(api, id), await patch(api, id, {})])
      expect(answer).toMatchObject({ status: 404, json: { code: 'not_found', detail: 'There is no such webhook.' } });
    expect((await decisions(api)).sort()).toEqual(['000001.json', '000002.json', '000003.json']);
  });

  test('of another account is not found', async () => {
    await using api = await openApi({ env: KEYS });
    const { id } = (await create(api, { url: URL_A }, ann)).json;
    const asked = [
      api.get(`/v1/webhooks/${id}`, bob),
      api.get(`/v1/webhooks/${id}/secret`, bob),
      patch(api, id, { state: 'disabled' }, bob),
      remove(api, id, bob),
      api.post(`/v1/webhooks/${id}/rotate-secret`, {}, bob),
      api.post(`/v1/webhooks/${id}/test`, undefined, bob),
    ];
    for (const answer of await Promise.all(asked)) expect(answer.status).toBe(404);
    expect((await api.get('/v1/webhooks', bob)).json.data).toEqual([]);
    expect((await api.get(`/v1/webhooks/${id}`, ann)).json).toMatchObject({ state: 'enabled', secrets: [{}] });
    expect(await heard(api, 'bob')).toEqual({});
  });

  test('that is not to be changed by a PATCH writes nothing', async () => {
    await using api = await openApi();
    const { id } = (await create(api, { url: URL_A, events: ['batch.completed'] })).json;
    for (const body of [
      {},
      { url: URL_A },
      { events: ['batch.completed'] },
      { state: 'enabled' },
      { description: null },
    ])
      expect((await patch(api, id, body)).status).toBe(200);
    expect(await decisions(api)).toHaveLength(1);
  });

  test('is disabled and enabled by hand, and hears nothing meanwhile', async () => {
    await using api = await openApi();
    const { id } = (await create(api)).json;
    const disabled = { state: 'disabled', disabled: { reason: 'by_hand', since: TIME } };
    expect((await patch(api, id, { state: 'disabled' })).json).toMatchObject(disabled);
    const { since } = (await patch(api, id, { state: 'disabled', description: 'off' })).json.disabled;
    expect((await api.get(`/v1/webhooks/${id}`)).json.disabled.since).toBe(since);
    expect(await heard(api)).toEqual({});
    expect((await api.post(`/v1/webhooks/${id}/test`)).json).toMatchObject({ status: 409, code: 'webhook_disabled' });
    expect((await patch(api, id, { state: 'enabled' })).json).toMatchObject({ state: 'enabled', disabled: null });
    expect(await heard(api)).toEqual({ [id]: '*' });
  });

  test('that has disabled itself stays so when something else is changed, until it is enabled', async () => {
    await using api = await openApi();
    const { id } = (await create(api)).json;
    const hook = `${api.prefix}hook:${id}`;
    // As record-attempt.lua does on a 410, by a clock that is ahead of ours.
    const at = Date.now() + 60_000;
    await api.redis.hset(hook, { state: 'disabled', reason: 'gone', disabled_at: at, undecided: 1 });
    await api.redis.hdel(`${api.prefix}hooks:default`, id);
    const gone = { state: 'disabled', disabled: { reason: 'gone', since: new Date(at).toISOString() } };
    expect((await api.get(`/v1/webhooks/${id}`)).json).toMatchObject(gone);
    expect((await patch(api, id, { description: 'other' })).json).toMatchObject({ ...gone, description: 'other' });
    expect(await api.redis.hget(hook, 'undecided')).toBeNull();
    expect((await patch(api, id, { state: 'enabled' })).json).toMatchObject({ state: 'enabled', disabled: null });
    expect(await api.redis.hget(hook, 'state')).toBe('enabled');
    expect(await heard(api)).toEqual({ [id]: '*' });
  });

  test('is asked to catch up from what was missed, or from a time', async () => {
    await using api = await openApi();
    const { id } = (await create(api)).json;
    const hook = `${api.prefix}hook:${id}`;
    const missed = '1970-01-01T00:00:01.000Z';
    await api.redis.hset(hook, 'missed_since', 1000);
    expect((await api.get(`/v1/webhooks/${id}`)).json.missed_since).toBe(missed);
    expect((await patch(api, id, { state: 'enabled' })).json.missed_since).toBe(missed);
    expect(await api.redis.hget(hook, 'catch_up')).toBeNull();
    expect((await patch(api, id, { state: 'enabled', recover: true })).status).toBe(200);
    expect(await api.redis.hmget(hook, 'missed_since', 'catch_up')).toEqual([null, '1000']);

    const other = (await create(api)).json.id;
    expect((await patch(api, other, { state: 'enabled', recover: true })).json.missed_since).toBeNull();
    const since = new Date(Date.now() - 3_600_000).toISOString();
    expect((await patch(api, other, { state: 'enabled', recover_since: since })).json.missed_since).toBe(since);
  });
});

describe('of many changes', () => {
  test('at once each sees what the one before it decided', async () => {
    await using api = await openApi();
    const { id } = (await create(api)).json;
    const bodies = [{ url: URL_B }, { events: ['job.failed'] }, { description: 'both' }, { state: 'disabled' }];
    const answers = await Promise.all(bodies.map((body) => patch(api, id, body)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect((await api.get(`/v1/webhooks/${id}`)).json).toMatchObject({
      ...{ url: URL_B, events: ['job.failed'], description: 'both', state: 'disabled' },
    });
    expect(await decisions(api)).toHaveLength(5);
  });

  test('no more than 20 webhooks come about, also when they are made at once', async () => {
    await using api = await openApi();
    const answers = await Promise.all(Array.from({ length: 23 }, () => create(api)));
    const refused = answers.filter(({ status }) => status !== 201);
    expect(refused.map(({ json }) => json.code)).toEqual(Array(3).fill('too_many_webhooks'));
    const { data } = (await api.get('/v1/webhooks')).json;
    expect(new Set(data.map(({ id }: { id: string }) => id)).size).toBe(20);
    expect((await remove(api, data[0].id)).status).toBe(204);
    expect((await create(api)).status).toBe(201);
  });
});

describe('what is kept', () => {
  test('in the store and in Redis are no secrets, and in the log neither secrets nor URLs', async () => {
    await using api = await openApi();
    const made = await create(api, { url: URL_A, secret: SECRET });
    expect(made.json.secret).toBe(SECRET);
    await api.post(`/v1/webhooks/${made.json.id}/rotate-secret`, {});
    const folder = join(api.dataDir, 'store', 'webhooks', 'default');
    const texts = await Promise.all((await decisions(api)).map((name) => readFile(join(folder, name), 'utf8')));
    expect(texts).toHaveLength(2);
    for (const text of [...texts, JSON.stringify(await api.redis.hgetall(`${api.prefix}hook:${made.json.id}`))]) {
      expect(text).toContain('"sealed');
      expect(text).not.toContain('whsec_');
    }
    const logs = JSON.stringify(api.logs);
    expect(logs).toContain('decided by hand');
    for (const secret of ['whsec_', 'token=abc', '93.184.215.14']) expect(logs).not.toContain(secret);
    const audits = api.logs.flatMap(({ audit }) => (audit === undefined ? [] : [audit]));
    expect(audits).toMatchObject([
      { by: 'default', action: 'create', webhook_id: made.json.id, changes: [{ what: 'url' }, { what: 'state' }] },
      { action: 'rotate', changes: [{ what: 'secret', to: { overlap_hours: 24 } }] },
    ]);
  });

  test('outlives an emptied Redis', async () => {
    await using api = await openApi();
    const { id } = (await create(api, { url: URL_A, events: ['job.failed'] })).json;
    const before = (await api.get(`/v1/webhooks/${id}`)).json;
    await api.redis.del(await api.redis.keys(`${api.prefix}*`));
    await expect
      .poll(() => api.get(`/v1/webhooks/${id}`), { timeout: 15_000, interval: 100 })
      .toMatchObject({ status: 200, json: before });
    expect(await heard(api)).toEqual({ [id]: ' job.failed ' });
    expect((await api.get(`/v1/webhooks/${id}/secret`)).status).toBe(200);
  });

  test('and was not told to Redis is in force when the next change is made, or an API starts', async () => {
    await using api = await openApi();
    const { id } = (await create(api)).json;
    // As if whoever decided had died between the two steps.
    const lose = () => api.redis.del(`${api.prefix}endpoints:default`, `${api.prefix}hooks:default`);
    await lose();
    const other = (await create(api, { url: URL_B })).json;
    expect(await heard(api)).toEqual({ [id]: '*', [other.id]: '*' });
    await lose();
    const logger = createLogger({ service: 'test', level: 'silent' });
    const config = { ...api.config, PORT: 0 };
    const second = await startApi({ config, redisUrl: inject('redisUrl'), clock: systemClock, logger });
    await expect.poll(() => heard(api)).toEqual({ [id]: '*', [other.id]: '*' });
    for (const phase of second.phases()) await phase.stop();
  });

  test('in a Redis that another store was used with before gives way to what is decided', async () => {
    await using api = await openApi();
    await api.redis.hset(`${api.prefix}endpoints:default`, 'seq', 7);
    const { id } = (await create(api)).json;
    expect(await heard(api)).toEqual({ [id]: '*' });
    expect(await decisions(api)).toEqual(['000008.json']);
  });
});

describe('a damaged decision', () => {
  test('leaves the webhooks of the one before, disabled until they are enabled by hand', async () => {
    await using api = await openApi();
    const { id } = (await create(api)).json;
    await patch(api, id, { description: 'lost' });
    await writeFile(join(api.dataDir, 'store', 'webhooks', 'default', '000002.json'), '{"seq":2,');
    const found = await api.get(`/v1/webhooks/${id}`);
    expect(found.json).toMatchObject({ description: null, state: 'disabled', disabled: { reason: 'damaged' } });
    expect(api.logs).toContainEqual(expect.objectContaining({ level: 50, key: 'webhooks/default/000002.json' }));
    expect((await patch(api, id, { state: 'enabled' })).json).toMatchObject({ state: 'enabled' });
    expect(await heard(api)).toEqual({ [id]: '*' });
  });
});
