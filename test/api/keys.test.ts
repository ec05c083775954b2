import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allKeys } from '../redis/keys.ts';
import { type Api, openApi, sharedApi } from './running-api.ts';

const ADMIN = { authorization: 'Bearer secret-of-ann-12345' };
const env = { RENDERYARD_API_KEYS: 'ann:secret-of-ann-12345' };
const as = (secret: string) => ({ authorization: `Bearer ${secret}` });

async function make(api: Api, body: object = {}, headers: Record<string, string> = ADMIN) {
  const answer = await api.post('/v1/keys', { name: 'app', scopes: ['submit', 'read'], ...body }, headers);
  expect([answer.status, answer.json.detail]).toEqual([201, undefined]);
  return answer.json as { id: string; secret: string; begins_with: string };
}

/** Another API of the same installation. */
const another = ({ config, dataDir }: Api, more: Record<string, string> = env) =>
  openApi({ env: { REDIS_PREFIX: config.REDIS_PREFIX, DATA_DIR: dataDir, ...more } });

/** Everything that lies in Redis and in the store, as one text. */
async function everythingKept(api: Api): Promise<string> {
  const texts: string[] = [];
  for (const key of await allKeys(api.redis, api.prefix))
    texts.push(JSON.stringify(await api.redis.dumpBuffer(key)), `${await api.redis.dumpBuffer(key)}`);
  const files = await readdir(api.dataDir, { recursive: true, withFileTypes: true });
  for (const file of files) if (file.isFile()) texts.push(await readFile(join(file.parentPath, file.name), 'latin1'));
  return texts.join('\n');
}

describe('API keys', () => {
  const shared = sharedApi({ env });

  test('are made with a secret that is shown once and kept nowhere', async () => {
    const api = shared();
    const made = await make(api, { account: 'studio', limits: { requests_per_minute: 600 } });
    expect(made).toEqual({
      ...{ id: expect.stringMatching(/^key_[0-9a-z]{26}$/), object: 'key', name: 'app', account: 'studio' },
      ...{ scopes: ['submit', 'read'], limits: { requests_per_minute: 600 }, status: 'active' },
      ...{ created_at: expect.any(String), created_by: 'ann', expires_at: null, revoked_at: null, last_used_at: null },
      begins_with: expect.stringMatching(/^ry_[0-9a-z]{10}_$/),
      secret: expect.stringMatching(/^ry_[0-9a-z]{10}_[\w-]{43}$/),
    });
    expect(made.secret.startsWith(made.begins_with)).toBe(true);
    expect((await api.get('/v1/jobs', as(made.secret))).status).toBe(200);
    const { secret, ...shown } = made;
    const read = await api.get(`/v1/keys/${made.id}`, ADMIN);
    expect(read.json).toEqual({ ...shown, last_used_at: expect.any(String) });
    const listed = await api.get('/v1/keys', ADMIN);
    expect(listed.json.data[0]).toEqual(read.json);
    const kept = await everythingKept(api);
    expect(kept).toContain(made.id);
    expect(kept).not.toContain(secret.slice(-43));
    expect(JSON.stringify(api.logs)).not.toContain(secret.slice(-43));
  });

  test.each([
    [{ name: undefined }, '/name', 'required'],
    [{ name: ' ' }, '/name', 'invalid_format'],
    [{ name: 'a\nb' }, '/name', 'invalid_format'],
    [{ name: 'x'.repeat(101) }, '/name', 'invalid_format'],
    [{ account: 'a b' }, '/account', 'invalid_format'],
    [{ account: null }, '/account', 'wrong_type'],
    [{ account: '__proto__' }, '/account', 'invalid_format'],
    [{ scopes: undefined }, '/scopes', 'required'],
    [{ scopes: [] }, '/scopes', 'wrong_type'],
    [{ scopes: ['read', 'root'] }, '/scopes/1', 'invalid_format'],
    [{ scopes: ['read', 'read'] }, '/scopes/1', 'invalid_format'],
    [{ expires_at: '2020-01-01T00:00:00Z' }, '/expires_at', 'out_of_range'],
    [{ expires_at: 'tomorrow' }, '/expires_at', 'invalid_format'],
    [{ limits: [] }, '/limits', 'wrong_type'],
    [{ limits: { requests_per_hour: 1 } }, '/limits/requests_per_hour', 'unknown_field'],
    [{ limits: { requests_per_minute: 0 } }, '/limits/requests_per_minute', 'out_of_range'],
    [{ limits: { requests_per_minute: '9' } }, '/limits/requests_per_minute', 'wrong_type'],
    [{ secret: 'mine' }, '/secret', 'unknown_field'],
  ])('are not made of %j', async (body, pointer, code) => {
    const answer = await shared().post('/v1/keys', { name: 'app', scopes: ['read'], ...body }, ADMIN);
    expect([answer.status, answer.json.errors]).toEqual([400, [expect.objectContaining({ pointer, code })]]);
  });

  test('are listed in pages, the newest first', async () => {
    await using api = await openApi({ env });
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.unshift((await make(api, { name: `key ${i}` })).id);
    const seen: string[] = [];
    for (let after = ''; ; ) {
      const page = (await api.get(`/v1/keys?limit=2${after}`, ADMIN)).json;
      seen.push(...page.data.map(({ id }: { id: string }) => id));
      if (!page.has_more) break;
      after = `&after=${page.next}`;
    }
    expect(seen).toEqual(made);
  });

  test('are repeated under an Idempotency-Key with the same secret, which lies sealed', async () => {
    const api = shared();
    const headers = { ...ADMIN, 'idempotency-key': 'make-one' };
    const first = await make(api, {}, headers);
    const again = await api.post('/v1/keys', { name: 'app', scopes: ['submit', 'read'] }, headers);
    expect([again.status, again.headers.get('idempotency-replayed'), again.json]).toEqual([201, 'true', first]);
    expect(await everythingKept(api)).not.toContain(first.secret.slice(-43));
  });

  test('of one account see the same, of others nothing', async () => {
    const api = shared();
    const [one, two, other] = await Promise.all(
      ['north', 'north', 'south'].map(async (account) => as((await make(api, { account })).secret)),
    );
    const { id } = await api.submit({ prompt: 'A fox' }, one);
    for (const [headers, status] of [
      [two, 200],
      [other, 404],
      [ADMIN, 404],
    ] as const)
      expect((await api.get(`/v1/jobs/${id}`, headers)).status).toBe(status);
    expect((await api.post(`/v1/jobs/${id}/cancel`, undefined, other)).status).toBe(404);
    expect((await api.get(`/v1/jobs/${id}`, one)).json.status).toBe('queued');
  });

  test('are refused from when they expire', async () => {
    const api = shared();
    const expiresAt = Date.now() + 1500;
    const { id, secret } = await make(api, { expires_at: new Date(expiresAt).toISOString() });
    expect((await api.get('/v1/jobs', as(secret))).status).toBe(200);
    await expect.poll(async () => (await api.get('/v1/jobs', as(secret))).status, { timeout: 10_000 }).toBe(401);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
    expect((await api.get('/v1/jobs', as(secret))).json.detail).toBe('This API key has expired.');
    expect((await api.get(`/v1/keys/${id}`, ADMIN)).json.status).toBe('expired');
  });

  test('are refused at once where they were revoked, at every API, and stay listed', async () => {
    const api = shared();
    await using other = await another(api);
    const { id, secret } = await make(api);
    expect((await other.get('/v1/jobs', as(secret))).status).toBe(200);
    expect((await api.call('DELETE', `/v1/keys/${id}`, { headers: ADMIN })).status).toBe(204);
    for (const each of [api, other]) {
      const { status, json, headers } = await each.get('/v1/jobs', as(secret));
      expect([status, json.code]).toEqual([401, 'unauthorized']);
      expect(headers.get('www-authenticate')).toBe('Bearer realm="renderyard", error="invalid_token"');
    }
    // Harmless to repeat.
    expect((await api.call('DELETE', `/v1/keys/${id}`, { headers: ADMIN })).status).toBe(204);
    const { json } = await api.get(`/v1/keys/${id}`, ADMIN);
    expect([json.status, json.revoked_at]).toEqual(['revoked', expect.any(String)]);
  });

  test.each([
    ['another secret', (token: string) => `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`],
    ['another name', (token: string) => token.replace(/^ry_./, (begin) => `ry_${begin.endsWith('0') ? '1' : '0'}`)],
    ['its name alone', (token: string) => token.slice(0, 14)],
    ['more behind it', (token: string) => `${token}A`],
  ])('are not known with %s', async (_name, change) => {
    const api = shared();
    const { secret } = await make(api);
    expect((await api.get('/v1/jobs', as(change(secret)))).status).toBe(401);
    expect((await api.get('/v1/jobs', as(secret))).status).toBe(200);
  });

  test('that nobody made are not found, whatever they are called', async () => {
    const api = shared();
    for (const id of [
      'key_01m82rkqecec6vk96rtexk8mjc',
      'key_x',
      '..%2f..%2frenderyard',
      'job_01m82rkqecec6vk96rtexk8mjc',
    ])
      for (const method of ['GET', 'DELETE'])
        expect((await api.call(method, `/v1/keys/${id}`, { headers: ADMIN })).status).toBe(404);
  });
});

describe('where all keys are damaged in the store', () => {
  test('nobody is served without one', async () => {
    await using first = await openApi();
    const { id } = await make(first, { scopes: ['admin'] }, {});
    await writeFile(join(first.dataDir, 'store/keys', id, 'key.json'), '{');
    await first.redis.del(`${first.prefix}access`);
    await using next = await another(first, {});
    expect((await next.get('/v1/keys')).status).toBe(401);
  });
});

describe('where Redis is emptied', () => {
  test('keys are there again, and those that were revoked are not', async () => {
    await using api = await openApi({ env });
    const [held, revoked] = [await make(api), await make(api)];
    await api.call('DELETE', `/v1/keys/${revoked.id}`, { headers: ADMIN });
    await api.redis.del(...(await allKeys(api.redis, api.prefix)));
    await expect.poll(async () => (await api.get('/v1/jobs', as(held.secret))).status, { timeout: 20_000 }).toBe(200);
    expect((await api.get('/v1/jobs', as(revoked.secret))).status).toBe(401);
    // Who read it before it was revoked puts it into force no more.
    expect(await api.redis.scard(`${api.prefix}access:revoked`)).toBe(1);
  });
});

describe('where Redis was not told', () => {
  test('keys of the store are in force from the next start of an API on', async () => {
    await using api = await openApi({ env });
    const [made, revoked] = [await make(api), await make(api)];
    await api.call('DELETE', `/v1/keys/${revoked.id}`, { headers: ADMIN });
    await api.redis.del(`${api.prefix}access`, `${api.prefix}access:revoked`);
    expect((await api.get('/v1/jobs', as(made.secret))).status).toBe(401);
    await using next = await another(api);
    await expect.poll(async () => (await next.get('/v1/jobs', as(made.secret))).status, { timeout: 10_000 }).toBe(200);
    expect((await next.get('/v1/jobs', as(revoked.secret))).status).toBe(401);
  });
});

describe('without configured keys', () => {
  test('a key that is made is asked for from the next start on, also when all are revoked', async () => {
    await using first = await openApi();
    const { id, secret } = await make(first, { scopes: ['admin'] }, {});
    expect((await first.get('/v1/jobs')).status).toBe(200);
    await using next = await another(first, {});
    expect((await next.get('/v1/jobs')).status).toBe(401);
    expect((await next.call('DELETE', `/v1/keys/${id}`, { headers: as(secret) })).status).toBe(204);
    await using last = await another(first, {});
    for (const headers of [{}, as(secret)]) expect((await last.get('/v1/jobs', headers)).status).toBe(401);
    // It was decided at its start.
    expect((await first.get('/v1/jobs')).status).toBe(200);
  });
});
