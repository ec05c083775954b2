import { startApi } from '@renderyard/api/start-api';
import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { loadSecretKey } from '@renderyard/shared/secret-key';
import { createSecretsOf } from '@renderyard/worker/webhook/secrets-of';
import { describe, expect, inject, test, vi } from 'vitest';
import { type Api, openApi } from '../api/running-api.ts';

const URL_A = 'https://93.184.215.14/hooks/a';
const secretOf = (byte: number, bytes = 32) => `whsec_${Buffer.alloc(bytes, byte).toString('base64')}`;
const create = async (api: Api, body: object = { url: URL_A }, headers: Record<string, string> = {}) =>
  (await api.post('/v1/webhooks', body, headers)).json;
const rotate = (api: Api, id: string, body: unknown = {}, headers: Record<string, string> = {}) =>
  api.post(`/v1/webhooks/${id}/rotate-secret`, body, headers);
const HOUR = 3_600_000;

/** What a worker signs with at that time. */
async function signing(api: Api, id: string, now = Date.now()): Promise<readonly string[] | undefined> {
  const secretKey = await loadSecretKey({ setting: api.config.SECRET_KEY, dataDir: api.dataDir });
  const logger = createLogger({ service: 'test', level: 'silent' });
  const secretsOf = createSecretsOf({ setting: undefined, secretKey, logger });
  const secrets = (await api.redis.hget(`${api.prefix}hook:${id}`, 'secrets')) ?? undefined;
  return secretsOf({ delivery: { receiver: id, account: 'default' }, secrets, now });
}

describe('a rotation', () => {
  test('has the old secret sign beside the new one for a day', async () => {
    await using api = await openApi();
    const { id, secret } = await create(api);
    const rotated = await rotate(api, id, undefined);
    expect(rotated).toMatchObject({ status: 200, json: { id, secret: expect.stringMatching(/^whsec_/) } });
    expect(rotated.json.secret).not.toBe(secret);
    const [newest, old] = rotated.json.secrets;
    expect(newest.expires_at).toBeNull();
    expect(Date.parse(old.expires_at) - Date.parse(newest.created_at)).toBe(24 * HOUR);
    expect((await api.get(`/v1/webhooks/${id}/secret`)).json.secret).toBe(rotated.json.secret);
    expect(await signing(api, id)).toEqual([rotated.json.secret, secret]);
    expect(await signing(api, id, Date.now() + 24 * HOUR + 1000)).toEqual([rotated.json.secret]);
  });

  test('takes a secret along, and with no overlap takes all others out of use at once', async () => {
    await using api = await openApi();
    const { id } = await create(api, { url: URL_A, secret: secretOf(1) });
    await rotate(api, id, { secret: secretOf(2), overlap_hours: 168 });
    expect(await signing(api, id)).toEqual([secretOf(2), secretOf(1)]);
    const { json } = await rotate(api, id, { secret: secretOf(3, 24), overlap_hours: 0 });
    expect(json).toMatchObject({ secret: secretOf(3, 24), secrets: [{ expires_at: null }] });
    expect(await signing(api, id)).toEqual([secretOf(3, 24)]);
  });

  test('never lets a secret that was to expire live longer', async () => {
    await using api = await openApi();
    const { id } = await create(api);
    const first = (await rotate(api, id, { overlap_hours: 1 })).json.secrets;
    const second = (await rotate(api, id, { overlap_hours: 48 })).json.secrets;
    expect(second[2].expires_at).toBe(first[1].expires_at);
    const third = (await rotate(api, id, { overlap_hours: 2 })).json.secrets;
    expect(Date.parse(third[2].expires_at)).toBeLessThan(Date.now() + 2 * HOUR);
  });

  test('to a sixth secret is refused, and changes nothing', async () => {
    await using api = await openApi();
    const { id } = await create(api);
    for (let i = 0; i < 4; i++) expect((await rotate(api, id)).json.secrets).toHaveLength(i + 2);
    expect((await rotate(api, id)).json).toMatchObject({ status: 409, code: 'too_many_secrets' });
    expect(await signing(api, id)).toHaveLength(5);
    expect((await rotate(api, id, { overlap_hours: 0 })).json.secrets).toHaveLength(1);
  });
});

describe('under an Idempotency-Key', () => {
  const keyed = (key: string) => ({ 'idempotency-key': key });
  /** All that Redis holds, as text. */
  async function everything(api: Api): Promise<string> {
    const keys = await api.redis.keys(`${api.prefix}idempotency:*`);
    expect(keys.length).toBeGreaterThan(0);
    return JSON.stringify(await Promise.all(keys.map((key) => api.redis.hgetall(key))));
  }
  const raw = async (api: Api, path: string, body: object, key: string) => {
    const headers = { 'content-type': 'application/json', ...keyed(key) };
    const response = await fetch(`${api.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.status, text: await response.text(), headers: response.headers };
  };

  test('a webhook is made once, the answer is given again byte for byte, and Redis holds no secret', async () => {
    await using api = await openApi();
    const first = await raw(api, '/v1/webhooks', { url: URL_A }, 'a');
    const again = await raw(api, '/v1/webhooks', { url: URL_A }, 'a');
    expect(first.status).toBe(201);
    expect([again.status, again.text]).toEqual([201, first.text]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    const { id, secret } = JSON.parse(first.text);

    const rotated = await raw(api, `/v1/webhooks/${id}/rotate-secret`, { secret: secretOf(9) }, 'b');
    const rotatedAgain = await raw(api, `/v1/webhooks/${id}/rotate-secret`, { secret: secretOf(9) }, 'b');
    expect([rotatedAgain.status, rotatedAgain.text]).toEqual([200, rotated.text]);
    expect(await signing(api, id)).toEqual([secretOf(9), secret]);

    const kept = await everything(api);
    for (const hidden of ['whsec_', secret.slice(6, 20), secretOf(9).slice(6, 20)]) expect(kept).not.toContain(hidden);
    expect((await api.get('/v1/webhooks')).json.data).toHaveLength(1);
  });

  test('what broke off after it was decided is not done twice', async () => {
    await using api = await openApi();
    const breakOff = (key: string) =>
      api.redis
        .multi()
        .hdel(`${api.prefix}idempotency:default:${key}`, 'answer')
        .hset(`${api.prefix}idempotency:default:${key}`, 'lease', 0)
        .exec();
    const made = await create(api, { url: URL_A }, keyed('a'));
    await breakOff('a');
    expect(await create(api, { url: URL_A }, keyed('a'))).toEqual(made);
    const rotated = (await rotate(api, made.id, {}, keyed('b'))).json;
    await breakOff('b');
    expect((await rotate(api, made.id, {}, keyed('b'))).json).toEqual(rotated);
    expect(await signing(api, made.id)).toEqual([rotated.secret, made.secret]);
  });

  test('an answer that was sealed with another SECRET_KEY is not given, and the log keeps its secret', async () => {
    await using api = await openApi();
    const key = `${api.prefix}idempotency:default:a`;
    const { id } = await create(api, { url: URL_A }, keyed('a'));
    await api.redis.hset(key, 'answer', 'v1.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA');
    const again = await api.post('/v1/webhooks', { url: URL_A }, keyed('a'));
    expect(again.json).toMatchObject({ status: 409, code: 'secret_unreadable' });
    expect((await api.get(`/v1/webhooks/${id}/secret`)).status).toBe(200);
  });
});

describe('the default secret', () => {
  test('is of the account, and stays', async () => {
    const env = { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' };
    await using api = await openApi({ env });
    const read = async (name: string) =>
      (await api.get('/v1/webhooks/default/secret', { authorization: `Bearer secret-of-${name}-1234` })).json;
    const ofAnn = await read('ann');
    expect(ofAnn).toEqual({ object: 'webhook_secret', secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/) });
    expect(await read('ann')).toEqual(ofAnn);
    expect((await read('bob')).secret).not.toBe(ofAnn.secret);
  });

  test('is WEBHOOK_SECRET where that is set', async () => {
    await using api = await openApi({ env: { WEBHOOK_SECRET: secretOf(5) } });
    expect((await api.get('/v1/webhooks/default/secret')).json.secret).toBe(secretOf(5));
  });
});

describe('with a bucket', () => {
  const refused = {
    ...{ status: 409, code: 'secret_key_missing' },
    detail: expect.stringMatching(/^With a bucket.*Set SECRET_KEY/),
  };
  const job = { input: { prompt: 'A fox' }, webhook: URL_A };

  /** Another API on the same Redis, whose store is a bucket that does not answer: what is asked is refused before. */
  async function withBucket(
    api: Api,
    settings: object,
    ask: (post: typeof api.post, get: typeof api.get) => Promise<void>,
  ) {
    for (const [name, value] of Object.entries(NO_BUCKET)) vi.stubEnv(name, value);
    const logger = createLogger({ service: 'test', level: 'silent' });
    const config = { ...api.config, PORT: 0, S3_BUCKET: 'nowhere', ...settings };
    const other = await startApi({ config, redisUrl: inject('redisUrl'), clock: systemClock, logger });
    try {
      const at = (path: string) => `${other.url}${path}`;
      // It waits for a moment for its store to say of which version it is.
      await vi.waitFor(async () => expect((await api.get(at('/v1/jobs'))).status).toBe(200), 10_000);
      await ask(
        (path, body, headers) => api.post(at(path), body, headers),
        (path, headers) => api.get(at(path), headers),
      );
    } finally {
      for (const phase of other.phases()) await phase.stop();
      vi.unstubAllEnvs();
    }
  }

  test('and no SECRET_KEY nothing is taken that needs a secret', async () => {
    await using api = await openApi();
    const { id } = await create(api);
    await withBucket(api, {}, async (post, get) => {
      expect((await post('/v1/webhooks', { url: URL_A })).json).toMatchObject(refused);
      expect((await post(`/v1/webhooks/${id}/rotate-secret`, {})).json).toMatchObject(refused);
      expect((await get('/v1/webhooks/default/secret')).json).toMatchObject(refused);
      expect((await post('/v1/jobs', job)).json).toMatchObject(refused);
    });
  });

  test('and a WEBHOOK_SECRET the own webhooks of jobs are taken', async () => {
    await using api = await openApi();
    await withBucket(api, { WEBHOOK_SECRET: secretOf(5) }, async (post, get) => {
      expect((await post('/v1/webhooks', { url: URL_A })).json).toMatchObject(refused);
      expect((await get('/v1/webhooks/default/secret')).json.secret).toBe(secretOf(5));
      expect((await post('/v1/jobs', job)).status).toBe(202);
    });
  });
});

/** Where connections are refused at once. */
const NO_BUCKET = {
  AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1',
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'id',
  AWS_SECRET_ACCESS_KEY: 'nobody-knows-it',
};
