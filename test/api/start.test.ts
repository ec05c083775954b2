import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startApi } from '@renderyard/api/start-api';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig } from '@renderyard/shared/config';
import { createLogger } from '@renderyard/shared/logger';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { afterAll, describe, expect, inject, test, vi } from 'vitest';
import { startService } from '../support/processes.ts';
import { startRedisInstance } from '../support/redis-instance.ts';

const dataDir = await mkdtemp(join(tmpdir(), 'renderyard-api-start-'));
afterAll(() => rm(dataDir, { recursive: true, force: true }));
const ENV = { DATA_DIR: dataDir, PORT: '0', REDIS_PREFIX: 'test-start', REDIS_URL: inject('redisUrl') };

const silentLogger = createLogger({ service: 'test', level: 'silent' });

describe('the process', () => {
  test('says where it listens, makes links with that port, and stops in order', async () => {
    await using api = await startService({ service: 'api', env: { ...ENV, REDIS_PREFIX: 'test-start-port' } });
    const line = await api.untilLog((each) => each.msg === 'the API listens');
    expect(line.url).toBe(api.url);
    expect(new URL(api.url).port).not.toBe('0');
    const answer = await fetch(`${api.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"input":{"prompt":"A fox"}}',
    });
    const { urls } = (await answer.json()) as { urls: { self: string } };
    expect(new URL(urls.self).origin).toBe(new URL(api.url).origin);
    expect((await fetch(urls.self)).status).toBe(200);
    const { code } = await api.stop();
    expect(code).toBe(0);
  });

  test('answers the request in hand before it stops', async () => {
    await using api = await startService({ service: 'api', env: ENV });
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    const body = '{"input":{"prompt":"A fox"}}';
    socket.write(
      `POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    const [hundred] = await once(socket, 'data');
    expect(String(hundred)).toContain('100 Continue');
    api.kill('SIGTERM');
    await api.untilLog((line) => line.msg === 'stopping');
    socket.write(body);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 202 /);
    expect(text).toMatch(/connection: close/i);
    expect((await api.exited).code).toBe(0);
  });

  test('starts when Redis comes a moment later', async () => {
    await using redis = await startRedisInstance();
    await redis.stop();
    const starting = startService({ service: 'api', env: { ...ENV, REDIS_URL: redis.url } });
    await redis.restart();
    await using api = await starting;
    expect((await fetch(`${api.url}/health/ready`)).status).toBe(200);
  });

  test.each([
    [
      'all wrong settings at once',
      { PORT: 'x', LOG_LEVEL: 'loud', REDIS_URL: '', HOST: '0.0.0.0' },
      [/PORT must be/, /LOG_LEVEL must be/, /REDIS_URL must be set/, /HOST must be a loopback.*RENDERYARD_API_KEYS/],
    ],
    ['a host beyond this machine without keys', { HOST: '192.0.2.1' }, [/HOST must be a loopback/]],
    ['one port for two', { METRICS_PORT: '9464', PORT: '9464' }, [/PORT and METRICS_PORT are both 9464\. Set one of/]],
    [
      'the port for two that it has by itself',
      { METRICS_PORT: '8080', PORT: '' },
      [/PORT and METRICS_PORT are both 8080/],
    ],
  ])('refuses to start with %s', async (_name, env, expected) => {
    const refused = await startService({ service: 'api', env: { ...ENV, ...env } }).then(
      () => 'it started',
      (error: Error) => error.message,
    );
    expect(refused).toContain('code 1');
    for (const pattern of expected) expect(refused).toMatch(pattern);
    expect(refused).not.toMatch(/\n {4}at /);
  });

  test('refuses a Redis that forgets keys when memory is short', async () => {
    await using redis = await startRedisInstance();
    const admin = connectRedis(redis.url, 'worker', silentLogger);
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    admin.disconnect();
    await expect(startService({ service: 'api', env: { ...ENV, REDIS_URL: redis.url } })).rejects.toThrow(
      /maxmemory-policy allkeys-lru[\s\S]*noeviction/,
    );
  });

  test('gives up with one clear line when Redis does not come', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    silent.close();
    const config = readConfig(ENV);
    const redisUrl = `redis://:hidden@127.0.0.1:${port}`;
    await expect(
      startApi({ config, redisUrl, redisPatienceMs: 300, clock: systemClock, logger: silentLogger }),
    ).rejects.toThrow(/^Redis at 127\.0\.0\.1:\d+ cannot be reached within 0\.3 s \(.*ECONNREFUSED.*\)/);
  });

  test('warns of a Redis that does not tell its policy', async () => {
    await using redis = await startRedisInstance();
    const admin = connectRedis(redis.url, 'worker', silentLogger);
    await admin.call('ACL', 'SETUSER', 'limited', 'on', '>password', '~*', '&*', '+@all', '-config');
    admin.disconnect();
    await using api = await startService({
      service: 'api',
      env: { ...ENV, REDIS_URL: `redis://limited:password@127.0.0.1:${redis.port}` },
    });
    await api.untilLog((line) => line.level === 40 && String(line.msg).includes('maxmemory-policy'));
    expect((await fetch(`${api.url}/health/ready`)).status).toBe(200);
  });

  test('leaves nothing open when it is stopped', async () => {
    const open = () => process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP')).length;
    const before = open();
    const config = readConfig({ ...ENV, REDIS_PREFIX: 'test-start-leak' });
    const redisUrl = inject('redisUrl');
    const api = await startApi({ config, redisUrl, clock: systemClock, logger: silentLogger });
    const answer = await fetch(`${api.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=1', 'idempotency-key': crypto.randomUUID() },
      body: '{"input":{"prompt":"A fox"}}',
    });
    expect(answer.status).toBe(202);
    await answer.text();
    expect(open()).toBeGreaterThan(before);
    for (const phase of api.phases()) await phase.stop();
    await vi.waitFor(() => expect(open()).toBe(before));
  });

  test('warns of short keys by name, and writes none of them', async () => {
    await using api = await startService({
      service: 'api',
      env: { ...ENV, HOST: '0.0.0.0', RENDERYARD_API_KEYS: 'ann:tooshort,bob:a-secret-of-some-length' },
    });
    const warning = await api.untilLog((line) => line.key !== undefined);
    expect(warning).toMatchObject({ level: 40, key: 'ann' });
    await fetch(`http://127.0.0.1:${new URL(api.url).port}/v1/jobs`, { headers: { authorization: 'Bearer tooshort' } });
    await api.untilLog((line) => line.msg === 'request');
    expect(JSON.stringify(api.logs)).not.toMatch(/tooshort|a-secret/);
  });
});
