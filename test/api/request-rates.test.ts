import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openApi } from './running-api.ts';

const env = { RENDERYARD_API_KEYS: 'ann:secret-of-ann-12345' };
const ADMIN = { authorization: 'Bearer secret-of-ann-12345' };

async function limited(api: Awaited<ReturnType<typeof openApi>>, limit: number) {
  const body = { name: 'app', scopes: ['read'], limits: { requests_per_minute: limit } };
  const { json } = await api.post('/v1/keys', body, ADMIN);
  return { id: json.id as string, headers: { authorization: `Bearer ${json.secret}` } };
}

describe('a key with a limit of requests', () => {
  test('is told what is left, and refused with when to ask again', async () => {
    await using api = await openApi({ env });
    const { headers } = await limited(api, 3);
    const left: (string | null)[] = [];
    for (let i = 0; i < 3; i++) {
      const answer = await api.get('/v1/jobs', headers);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('ratelimit-policy')).toBe('"requests";q=3;w=60');
      expect(answer.headers.get('ratelimit')).toMatch(/^"requests";r=\d;t=\d+$/);
      expect(answer.headers.get('x-ratelimit-limit')).toBe('3');
      left.push(answer.headers.get('x-ratelimit-remaining'));
    }
    expect(left).toEqual(['2', '1', '0']);
    const refused = await api.get('/v1/jobs', headers);
    expect([refused.status, refused.json.code]).toEqual([429, 'rate_limited']);
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(15);
    expect(wait).toBeLessThanOrEqual(20);
    expect(Number(refused.headers.get('x-ratelimit-reset'))).toBeLessThanOrEqual(60);
    // Others are not held up by it.
    expect((await api.get('/v1/jobs', ADMIN)).status).toBe(200);
  });

  test('may send exactly as many at once, however they come, and at several APIs', async () => {
    await using api = await openApi({ env });
    const more = { ...env, REDIS_PREFIX: api.config.REDIS_PREFIX, DATA_DIR: api.dataDir };
    await using other = await openApi({ env: more });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.boolean(), { maxLength: 16 }),
        async (limit, places) => {
          // The limit fills up by one in 60 s / limit: not within this test.
          const { headers } = await limited(api, limit);
          const answers = await Promise.all(places.map((here) => (here ? api : other).get('/v1/jobs', headers)));
          const passed = answers.filter(({ status }) => status === 200).length;
          expect(passed).toBe(Math.min(limit, places.length));
          expect(answers.length - passed).toBe(answers.filter(({ status }) => status === 429).length);
        },
      ),
      { numRuns: 15 },
    );
  });

  test.each([7, 11, 600, 9973])(
    'of %i, which may divide no minute evenly, has one less after the first',
    async (limit) => {
      await using api = await openApi({ env });
      const { headers } = await limited(api, limit);
      const answer = await api.get('/v1/jobs', headers);
      expect(answer.headers.get('x-ratelimit-remaining')).toBe(String(limit - 1));
    },
  );

  test('gets its share again as time passes, and no more', async () => {
    await using api = await openApi({ env });
    const { id, headers } = await limited(api, 2);
    for (let i = 0; i < 3; i++) await api.get('/v1/jobs', headers);
    // As if 30 s had passed: the half of a minute's two.
    const [key = ''] = await api.redis.keys(`${api.prefix}access:rate:*`);
    await api.redis.set(key, String(Number(await api.redis.get(key)) - 30_000), 'KEEPTTL');
    const statuses = [];
    for (let i = 0; i < 2; i++) statuses.push((await api.get('/v1/jobs', headers)).status);
    expect(statuses).toEqual([200, 429]);
    expect(id).toMatch(/^key_/);
  });
});
