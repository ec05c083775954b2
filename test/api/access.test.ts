import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { getRaw } from './raw-http.ts';
import { sharedApi } from './running-api.ts';

describe('with API keys', () => {
  const hashed = createHash('sha256').update('secret-of-bob-12345').digest('hex');
  const env = { RENDERYARD_API_KEYS: `ann:secret-of-ann-12345,bob:sha256:${hashed}` };
  const shared = sharedApi({ env });
  const ann = { authorization: 'Bearer secret-of-ann-12345' };
  const bob = { authorization: 'bearer secret-of-bob-12345' };

  test.each([
    ['no key', {}, 'Bearer realm="renderyard"'],
    ['another scheme', { authorization: 'Basic YTpi' }, 'Bearer realm="renderyard"'],
    [
      'a wrong key',
      { authorization: 'Bearer secret-of-ann-12346' },
      'Bearer realm="renderyard", error="invalid_token"',
    ],
    ['a hash as key', { authorization: `Bearer ${hashed}` }, 'Bearer realm="renderyard", error="invalid_token"'],
    ['an empty key', { authorization: 'Bearer  ' }, 'Bearer realm="renderyard"'],
  ])('%s is refused on every route of /v1', async (_name, headers: Record<string, string>, challenge) => {
    const api = shared();
    for (const [method, path] of [
      ['GET', '/v1/jobs'],
      ['POST', '/v1/jobs'],
      ['GET', '/v1/credits'],
      ['POST', '/v1/credits/hold'],
      ['GET', '/v1/models'],
      ['GET', '/v1/jobs/job_x/image'],
    ] as const) {
      const answer = await api.call(method, path, { headers });
      expect([answer.status, answer.json.code]).toEqual([401, 'unauthorized']);
      expect(answer.headers.get('www-authenticate')).toBe(challenge);
    }
  });

  test('what another account made is not found', async () => {
    const api = shared();
    const { id } = await api.submit({ prompt: 'A fox' }, ann);
    expect((await api.get('/v1/jobs', bob)).json.data).toEqual([]);
    expect((await api.get(`/v1/jobs/${id}`, bob)).status).toBe(404);
    expect((await api.get(`/v1/jobs/${id}/image`, bob)).status).toBe(404);
    expect((await api.post(`/v1/jobs/${id}/cancel`, undefined, bob)).status).toBe(404);
    expect((await api.post(`/v1/jobs/${id}/retry`, undefined, bob)).status).toBe(404);
    expect((await api.get(`/v1/jobs/${id}`, ann)).json.status).toBe('queued');
  });

  test('health, the page and the document need no key, and other hosts and origins are served', async () => {
    const api = shared();
    for (const path of ['/', '/health/live', '/health/ready', '/openapi.json'])
      expect((await api.get(path)).status).toBe(200);
    const answer = await getRaw(api.url, '/v1/models', { Host: 'render.example', Origin: 'https://a.example', ...ann });
    expect(answer.status).toBe(200);
  });
});

describe('without API keys', () => {
  const shared = sharedApi();

  test.each([
    'localhost',
    '127.0.0.1',
    '127.9.8.7:80',
    '[::1]:8080',
    'LOCALHOST:1',
    'a.localhost',
    '[::ffff:127.0.0.1]',
  ])('the host %s is served', async (host) => {
    const api = shared();
    expect((await getRaw(api.url, '/v1/jobs', { Host: host })).status).toBe(200);
  });

  test.each([
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example',
    '10.0.0.1',
    '0.0.0.0',
    '[::]',
    '',
    'a@localhost',
  ])('the host %j is refused, but on /health/live', async (host) => {
    const api = shared();
    for (const path of ['/', '/v1/jobs', '/health/ready', '/openapi.json', '/store/x', '/nowhere']) {
      const answer = await getRaw(api.url, path, { Host: host, 'X-Forwarded-Host': 'localhost' });
      expect([path, answer.status, JSON.parse(answer.body).code]).toEqual([path, 403, 'host_not_allowed']);
    }
    expect((await getRaw(api.url, '/health/live', { Host: host })).status).toBe(200);
  });

  test.each([
    [{ Origin: 'https://evil.example' }],
    [{ Origin: 'null' }],
    [{ Origin: 'http://localhost:1' }],
    [{ Origin: 'https://localhost:8080' }],
    [{ 'Sec-Fetch-Site': 'cross-site' }],
    [{ 'Sec-Fetch-Site': 'same-site' }],
  ])('a page of another origin is refused: %j', async (headers) => {
    const api = shared();
    for (const path of ['/v1/jobs', '/health/ready']) {
      const answer = await getRaw(api.url, path, { Host: 'localhost:8080', ...headers });
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([403, 'origin_not_allowed']);
    }
    expect((await getRaw(api.url, '/health/live', { Host: 'localhost:8080', ...headers })).status).toBe(200);
  });

  test.each([[{ Origin: 'http://localhost:8080', 'Sec-Fetch-Site': 'same-origin' }], [{ 'Sec-Fetch-Site': 'none' }]])(
    'a page of the same origin, or an address typed in, is served: %j',
    async (headers) => {
      const api = shared();
      expect((await getRaw(api.url, '/v1/jobs', { Host: 'localhost:8080', ...headers })).status).toBe(200);
    },
  );
});
