import { createIdempotencyStore } from '@renderyard/api/idempotency/idempotency-store';
import fc from 'fast-check';
import { describe, expect, inject, test, vi } from 'vitest';
import { startService } from '../support/processes.ts';
import { type Api, openApi, sharedApi } from './running-api.ts';

const secretKey = new Uint8Array(32);

const BODY = { input: { prompt: 'A fox' } };
const keyed = (key: string) => ({ 'idempotency-key': key });

/** How long the record of a key lives, and its hash. */
const recordOf = async (api: Api, key: string, account = 'default') => {
  const name = `${api.prefix}idempotency:${account}:${key}`;
  return { name, ms: await api.redis.pttl(name), hash: await api.redis.hgetall(name) };
};

describe('Idempotency-Key', () => {
  const shared = sharedApi();

  test('the same request again gets the same answer, and no second job', async () => {
    await using api = await openApi();
    const first = await api.post('/v1/jobs', BODY, keyed('a'));
    await api.succeed(first.json.id);
    const again = await api.post('/v1/jobs', BODY, keyed('a'));
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect([again.status, again.json]).toEqual([202, first.json]);
    for (const name of ['location', 'content-type']) expect(again.headers.get(name)).toBe(first.headers.get(name));
    expect((await api.get('/v1/jobs')).json.data).toHaveLength(1);
  });

  test('a key is kept for 24 hours', async () => {
    await using api = await openApi();
    await api.post('/v1/jobs', BODY, keyed('a'));
    const { ms } = await recordOf(api, 'a');
    expect(ms).toBeGreaterThan(86_390_000);
    expect(ms).toBeLessThanOrEqual(86_400_000);
  });

  test('another body, path or order of bytes under the same key is refused', async () => {
    await using api = await openApi();
    const { json } = await api.post('/v1/jobs', BODY, keyed('a'));
    for (const [path, body] of [
      ['/v1/jobs', { input: { prompt: 'A hen' } }],
      ['/v1/jobs', { ...BODY, metadata: {} }],
      [`/v1/jobs/${json.id}/cancel`, undefined],
    ] as const)
      expect(await api.post(path, body, keyed('a'))).toMatchObject({
        status: 422,
        json: { code: 'idempotency_key_reused' },
      });
    expect((await api.get(`/v1/jobs/${json.id}`)).json.status).toBe('queued');
  });

  test('the same key of another account is another key', async () => {
    await using api = await openApi({ env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' } });
    const as = (name: string) => ({ ...keyed('a'), authorization: `Bearer secret-of-${name}-1234` });
    const [ann, bob] = [await api.post('/v1/jobs', BODY, as('ann')), await api.post('/v1/jobs', BODY, as('bob'))];
    expect([ann.status, bob.status]).toEqual([202, 202]);
    expect(ann.json.id).not.toBe(bob.json.id);
  });

  test('while the first request runs, the second is told to come back', async () => {
    await using api = await openApi();
    const waiting = api.post('/v1/jobs', BODY, { ...keyed('a'), prefer: 'wait=30' });
    const job = await vi.waitFor(async () => {
      const [found] = await api.jobs.list('default', { limit: 1 });
      if (found === undefined) throw new Error('no job yet');
      return found;
    });
    const second = await api.post('/v1/jobs', BODY, keyed('a'));
    expect(second).toMatchObject({ status: 409, json: { code: 'idempotency_key_in_use' } });
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0);
    await api.succeed(job.id);
    const first = await waiting;
    expect(first.status).toBe(200);
    const third = await api.post('/v1/jobs', BODY, keyed('a'));
    expect([third.status, third.json]).toEqual([200, first.json]);
    expect(third.headers.get('preference-applied')).toBe('wait=30');
  });

  test('of many at once one runs, and all that are answered name one job', async () => {
    await using api = await openApi();
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.post('/v1/jobs', BODY, keyed('a'))));
    for (const { status } of answers) expect([202, 409]).toContain(status);
    const ids = answers.filter(({ status }) => status === 202).map(({ json }) => json.id);
    expect(new Set(ids).size).toBe(1);
    expect((await api.get('/v1/jobs')).json.data).toHaveLength(1);
  });

  test('a request that broke off after its job was made goes on with the same job', async () => {
    await using api = await openApi();
    const first = await api.post('/v1/jobs', BODY, keyed('a'));
    // As a process leaves it that dies before it keeps its answer.
    const { name } = await recordOf(api, 'a');
    await api.redis.multi().hdel(name, 'answer').hset(name, 'lease', 0).exec();
    const again = await api.post('/v1/jobs', BODY, keyed('a'));
    expect([again.status, again.json.id]).toEqual([202, first.json.id]);
    expect(again.headers.get('idempotency-replayed')).toBeNull();
    expect((await api.get('/v1/jobs')).json.data).toHaveLength(1);
  });

  test('after a process was killed, the next runs its request once its five seconds are over, and a run that goes on stays alone', async () => {
    await using next = await openApi();
    const { REDIS_PREFIX, DATA_DIR } = next.config;
    const env = { PORT: '0', REDIS_PREFIX, DATA_DIR, REDIS_URL: inject('redisUrl') };
    await using killed = await startService({ service: 'api', env });
    const ask = (url: string, key: string, prefer: Record<string, string> = {}) =>
      fetch(`${url}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...prefer, ...keyed(key) },
        body: JSON.stringify(BODY),
      });
    const broken = ask(killed.url, 'killed', { prefer: 'wait=60' }).catch(() => 'broken');
    const going = ask(next.url, 'going', { prefer: 'wait=60' });
    await vi.waitFor(async () => expect(await next.jobs.list('default', { limit: 2 })).toHaveLength(2));
    killed.kill('SIGKILL');
    expect(await broken).toBe('broken');
    const [seconds = 0] = await next.redis.time();
    const { hash } = await recordOf(next, 'killed');
    expect(Number(hash.lease)).toBeLessThanOrEqual((Number(seconds) + 1) * 1000 + 5000);
    const again = await vi.waitFor(
      async () => {
        const answer = await ask(next.url, 'killed');
        expect(answer.status).toBe(202);
        return answer;
      },
      { timeout: 20_000, interval: 250 },
    );
    const { id } = (await again.json()) as { id: string };
    expect((await ask(next.url, 'going')).status).toBe(409);
    const jobs = await next.jobs.list('default', { limit: 3 });
    expect(jobs).toHaveLength(2);
    const other = jobs.find((job) => job.id !== id);
    await next.post(`/v1/jobs/${other?.id}/cancel`);
    expect(((await (await going).json()) as { id: string }).id).toBe(other?.id);
  });

  test('a cancel and a retry that broke off are answered as done', async () => {
    await using api = await openApi();
    const { id } = await api.submit();
    const breakOff = async (key: string) => {
      const { name } = await recordOf(api, key);
      await api.redis.multi().hdel(name, 'answer').hset(name, 'lease', 0).exec();
    };
    await api.post(`/v1/jobs/${id}/cancel`, undefined, keyed('c'));
    await breakOff('c');
    expect(await api.post(`/v1/jobs/${id}/cancel`, undefined, keyed('c'))).toMatchObject({ status: 200 });
    await api.post(`/v1/jobs/${id}/retry`, undefined, keyed('r'));
    await breakOff('r');
    expect(await api.post(`/v1/jobs/${id}/retry`, undefined, keyed('r'))).toMatchObject({ status: 202 });
  });

  test('what was refused is not kept, and can be corrected under the same key', async () => {
    await using api = await openApi();
    expect((await api.post('/v1/jobs', { input: {} }, keyed('a'))).status).toBe(400);
    const { hash } = await recordOf(api, 'a');
    expect(hash).toEqual({});
    expect((await api.post('/v1/jobs', BODY, keyed('a'))).status).toBe(202);
  });

  test('a 503 is not kept, and the next request uses the id that was drawn', async () => {
    await using api = await openApi({ env: { MAX_WAITING_JOBS: '1', FEED_WINDOW: '1' } });
    const [first] = [await api.submit(), await api.submit()];
    expect((await api.post('/v1/jobs', BODY, keyed('a'))).status).toBe(503);
    const { hash } = await recordOf(api, 'a');
    await api.post(`/v1/jobs/${first.id}/cancel`);
    const answer = await api.post('/v1/jobs', BODY, keyed('a'));
    expect([answer.status, answer.json.id]).toEqual([202, hash.resource]);
  });

  test.each(['', 'a b', 'ä', 'x'.repeat(256), 'a\tb'])('the key %j is refused', async (key) => {
    const api = shared();
    const { status, json } = await api.post('/v1/jobs', BODY, keyed(key));
    expect([status, json.code]).toEqual([400, 'invalid_idempotency_key']);
  });

  test('every key of visible ASCII characters is one of its own', async () => {
    await using api = await openApi();
    const store = createIdempotencyStore({ redis: api.redis, prefix: api.prefix, secretKey });
    const key = fc.string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
      minLength: 1,
      maxLength: 255,
    });
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(key, { minLength: 2, maxLength: 4 }), async (keys) => {
        const accounts = keys.map((each) => `run-${fc.stringify(keys)}:${each}`);
        for (const each of accounts) {
          const begun = await store.begin(each, each, 'job_1');
          if (begun.status !== 'run') return expect(begun.status).toBe('run');
          const answer = { status: 202, headers: { location: each }, body: each };
          await begun.run.end({ answer });
          expect(await store.begin(each, each, 'job_2')).toEqual({ status: 'answered', answer });
          await begun.run.end({ forget: true });
        }
      }),
      { numRuns: 30 },
    );
  });

  test('a run whose lease was taken over changes nothing any more', async () => {
    await using api = await openApi();
    const store = createIdempotencyStore({ redis: api.redis, prefix: api.prefix, secretKey });
    const first = await store.begin('k', 'f', 'job_1');
    if (first.status !== 'run') throw new Error(first.status);
    await api.redis.hset(`${api.prefix}idempotency:k`, 'lease', 0);
    const second = await store.begin('k', 'f', 'job_2');
    if (second.status !== 'run') throw new Error(second.status);
    expect([second.run.resource, second.run.continued]).toEqual(['job_1', true]);
    await first.run.end({ forget: true });
    await first.run.end({ answer: { status: 202, headers: {}, body: 'late' } });
    expect((await store.begin('k', 'f', 'job_3')).status).toBe('running');
    await second.run.renew();
    await second.run.end({ answer: { status: 202, headers: {}, body: 'ours' } });
    expect(await store.begin('k', 'f', 'job_3')).toMatchObject({ status: 'answered', answer: { body: 'ours' } });
  });
});
