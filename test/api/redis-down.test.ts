import { rm } from 'node:fs/promises';
import { newId } from '@renderyard/shared/ids';
import { describe, expect, test, vi } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { type Api, openApi } from './running-api.ts';

const BODY = { input: { prompt: 'A fox' } };
const KEY = { 'idempotency-key': 'a' };

/** A command is given up after 1.5 s; the rest is for a machine that is busy. One more command would not fit. */
const PATIENCE_MS = 2_900;

/** Asks for everything that needs Redis. */
async function expectUnavailable(api: Api): Promise<void> {
  const asks = [
    () => api.post('/v1/jobs', BODY),
    () => api.post('/v1/jobs', BODY, KEY),
    () => api.get('/v1/jobs'),
    () => api.get('/v1/credits'),
    () => api.post('/v1/credits/hold', {}),
    () => api.post('/v1/credits/resume', {}),
    () => api.get('/v1/credits/spend'),
    () => api.get('/v1/credits/events'),
    () => api.call('PATCH', '/v1/credits', { headers: { 'content-type': 'application/json' }, body: '{"floor":1}' }),
  ];
  await Promise.all(
    asks.map(async (ask) => {
      const begun = performance.now();
      const { status, headers, json } = await ask();
      expect([status, json.code]).toEqual([503, 'redis_unavailable']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(performance.now() - begun).toBeLessThan(PATIENCE_MS);
    }),
  );
  const ready = await api.get('/health/ready');
  expect(ready).toMatchObject({ status: 503, json: { code: 'not_ready' } });
  expect(ready.json.checks).toContainEqual({ name: 'redis', ok: false, detail: expect.any(String) });
  expect((await api.get('/health/live')).status).toBe(200);
}

const untilReady = (api: Api) =>
  vi.waitFor(async () => expect((await fetch(`${api.url}/health/ready`)).status).toBe(200), { timeout: 10_000 });

describe('while Redis', () => {
  test('is killed, everything that needs it is answered with 503 in time, and works again after', async () => {
    await using redis = await startRedisInstance({ persistence: 'aof' });
    await using api = await openApi({ redisUrl: redis.url });
    const { id } = await api.submit();
    redis.kill('SIGKILL');
    await redis.exited;
    await expectUnavailable(api);
    await redis.restart();
    await untilReady(api);
    expect((await api.get(`/v1/jobs/${id}`)).json.status).toBe('queued');
    expect((await api.post('/v1/jobs', BODY, KEY)).status).toBe(202);
  });

  test('is frozen, everything that needs it is answered with 503 in time', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url });
    redis.kill('SIGSTOP');
    try {
      await expectUnavailable(api);
    } finally {
      redis.kill('SIGCONT');
    }
    await untilReady(api);
  });

  test('was emptied, changes are refused until it is rebuilt, and then served', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url });
    await api.redis.flushall();
    const refused = await api.post('/v1/jobs', BODY, KEY);
    expect([refused.status, refused.json.code]).toEqual([503, 'redis_replaced']);
    expect(refused.headers.get('retry-after')).toBe('1');
    // From here on also what would find nothing now, and may find it again.
    expect((await api.get('/v1/jobs')).json.code).toBe('redis_replaced');
    expect((await api.get(`/v1/jobs/${newId('job')}`)).json.code).toBe('redis_replaced');
    await untilReady(api);
    expect((await api.post('/v1/jobs', BODY, KEY)).status).toBe(202);
    expect((await api.get('/v1/jobs')).json.data).toHaveLength(1);
  });

  test('was emptied a moment ago, nothing is said not to be there because of it', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url });
    const { id } = await api.submit();
    await api.redis.flushall();
    const answer = await api.get(`/v1/jobs/${id}`);
    expect([answer.status, answer.json.code]).toEqual([503, 'redis_replaced']);
  });

  test('was emptied, readiness tells that it is rebuilt, with nobody else asking', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url });
    await api.redis.flushall();
    const { status, json } = await api.get('/health/ready');
    expect(status).toBe(503);
    expect(json.checks).toContainEqual({
      name: 'generation',
      ok: false,
      detail: expect.stringMatching(/^rebuilding/),
    });
    await untilReady(api);
  });

  test('takes no writes for lack of memory, a job is refused and none is lost', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url });
    await api.redis.config('SET', 'maxmemory', '1');
    expect(await api.post('/v1/jobs', BODY)).toMatchObject({ status: 503, json: { code: 'redis_unavailable' } });
    // Reads in a transaction, which is refused as a whole.
    expect(await api.get('/v1/credits')).toMatchObject({ status: 503, json: { code: 'redis_unavailable' } });
    await api.redis.config('SET', 'maxmemory', '0');
    expect((await api.get('/v1/jobs')).json.data).toEqual([]);
    // The client library's error carries the command, and with it the job.
    const record = api.logs.find((line) => line.error_code === 'redis_unavailable');
    expect(record).toMatchObject({ level: 50, err: { message: expect.stringContaining('OOM') } });
    expect(JSON.stringify(api.logs)).not.toContain('A fox');
  });

  test.each([
    ['has no memory left', 'OOM', (api: Api) => api.redis.config('SET', 'maxmemory', '1')],
    ['became a replica', 'READONLY', (api: Api) => api.redis.replicaof('127.0.0.1', 1)],
    ['cannot save its data', 'MISCONF', failToSave],
  ])('%s, it is read still, and readiness says why that is not enough', async (_name, code, refuseWrites) => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url });
    await refuseWrites(api);
    expect((await api.get('/v1/jobs')).status).toBe(200);
    const { status, json } = await api.get('/health/ready');
    expect([status, json.code]).toEqual([503, 'not_ready']);
    expect(json.checks).toContainEqual({ name: 'redis', ok: false, detail: expect.stringContaining(`(${code})`) });
    expect(json.checks).toContainEqual({ name: 'generation', ok: true, detail: expect.any(String) });
    await api.redis.config('SET', 'maxmemory', '0');
    await api.redis.replicaof('NO', 'ONE');
    // Otherwise it would not end before it has saved.
    await api.redis.config('SET', 'save', '');
    await untilReady(api);
  });
});

/** Takes the folder from a Redis that is to save its data there. */
async function failToSave(api: Api): Promise<void> {
  const [, folder] = (await api.redis.config('GET', 'dir')) as [string, string];
  await rm(folder, { recursive: true });
  await api.redis.config('SET', 'save', '3600 1');
  await api.redis.bgsave();
  await vi.waitFor(async () => expect(await api.redis.info('persistence')).toContain('rdb_last_bgsave_status:err'));
}
