import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { type Api, openApi } from '../api/running-api.ts';
import { startRedisInstance } from '../support/redis-instance.ts';
import { blockedReads } from './blocked-reads.ts';
import { ofType, watchEvents } from './event-client.ts';

const PATIENT = { timeout: 15_000 };

/** A client that asks for events and then takes nothing of them. */
async function openPaused(api: Api, path: string) {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.pause().write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return socket;
}

const requestsTo = (api: Api, route: string) =>
  api.logs.filter((line) => line.msg === 'request' && line.route === route);

test('a quiet stream has heartbeats, and is taken for no stuck connection', async () => {
  await using api = await openApi({ stallMs: 200, streamLimits: { heartbeatMs: 50, stallMs: 200 } });
  const { id } = await api.submit();
  await using client = await watchEvents(api, `/v1/jobs/${id}/events`);
  await client.until(() => client.comments >= 20);
  expect(client.text).toContain('\n: heartbeat\n');
  expect(client.events).toHaveLength(1);
  await api.succeed(id);
  expect(await client.ended).toBe('ended');
});

test('a client that takes nothing is dropped, and others are not held up', async () => {
  await using api = await openApi({ streamLimits: { stallMs: 1_500, heartbeatMs: 60_000 } });
  // Large enough to fill the buffers of the kernel soon.
  const { id } = await api.submit({ prompt: 'x'.repeat(20_000) });
  await using healthy = await watchEvents(api, '/v1/events');
  await healthy.event(ofType('snapshot'));
  const socket = await openPaused(api, '/v1/events');
  let sent = 0;
  const closed = () => requestsTo(api, '/v1/events').length > 0;
  const entry = Object.entries({ account: 'default', type: 'job.queued', at: '1', job: id }).flat();
  while (!closed()) {
    await Promise.all(Array.from({ length: 50 }, () => api.redis.xadd(`${api.prefix}live`, '*', ...entry)));
    sent += 50;
    await healthy.until(() => healthy.events.length > sent);
  }
  expect(requestsTo(api, '/v1/events')).toMatchObject([{ dropped: 'slow reader', status: 499 }]);
  socket.destroy();
  // The healthy one has had all of it, and is there still.
  expect(healthy.events.filter(ofType('job.queued'))).toHaveLength(sent);
  await using _again = await watchEvents(api, '/v1/events');
}, 120_000);

describe('streams that are open at once', () => {
  test('are bounded for each account and in all, and make room when they are closed', async () => {
    await using api = await openApi({
      env: { RENDERYARD_API_KEYS: 'acme:secret-of-acme-0001,zenith:secret-of-zenith-1' },
      streamLimits: { perAccount: 2, inAll: 3 },
    });
    const acme = { authorization: 'Bearer secret-of-acme-0001' };
    const zenith = { authorization: 'Bearer secret-of-zenith-1' };
    const first = await watchEvents(api, '/v1/events', acme);
    await using _second = await watchEvents(api, '/v1/events', acme);
    const refused = await api.get('/v1/events', acme);
    expect([refused.status, refused.json.code]).toEqual([429, 'too_many_streams']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    // What is refused, or not found, holds no place.
    for (let i = 0; i < 5; i++) expect((await api.get('/v1/jobs/nothing/events', zenith)).status).toBe(404);
    await using _third = await watchEvents(api, '/v1/events', zenith);
    const full = await api.get('/v1/events', zenith);
    expect([full.status, full.json.code]).toEqual([503, 'streams_full']);
    first.close();
    await first.ended;
    await vi.waitFor(async () => {
      const again = await watchEvents(api, '/v1/events', zenith);
      again.close();
      await again.ended;
      expect(again.status).toBe(200);
    }, PATIENT);
  });

  test('have one blocking connection to Redis, which is made again when it breaks', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url });
    const { id } = await api.submit();
    const clients = await Promise.all(Array.from({ length: 20 }, () => watchEvents(api, `/v1/jobs/${id}/events`)));
    for (const client of clients) await client.event(ofType('snapshot'));
    const [listener = '', ...others] = await blockedReads(api.redis);
    expect(others).toEqual([]);
    await api.redis.call('CLIENT', 'KILL', 'ID', listener);
    await api.succeed(id);
    expect(await Promise.all(clients.map((client) => client.ended))).toEqual(clients.map(() => 'ended'));
    for (const client of clients)
      expect(client.events.map(({ event }) => event)).toEqual(['snapshot', 'job.succeeded']);
    const [again, ...more] = await blockedReads(api.redis);
    expect([again === listener, more]).toEqual([false, []]);
  });
});

describe('a server that stops', () => {
  test('ends streams at once, and is done in time', async () => {
    await using api = await openApi();
    const { id } = await api.submit();
    const clients = await Promise.all(['/v1/events', `/v1/jobs/${id}/events`].map((path) => watchEvents(api, path)));
    for (const client of clients) await client.event(ofType('snapshot'));
    const begun = performance.now();
    await api.stop();
    expect(performance.now() - begun).toBeLessThan(3_000);
    expect(await Promise.all(clients.map((client) => client.ended))).toEqual(['ended', 'ended']);
  });

  test('does not wait for a client that takes nothing', async () => {
    await using api = await openApi();
    const { id } = await api.submit({ prompt: 'x'.repeat(20_000) });
    const socket = await openPaused(api, '/v1/events');
    const entry = Object.entries({ account: 'default', type: 'job.queued', at: '1', job: id }).flat();
    await using healthy = await watchEvents(api, '/v1/events');
    for (let i = 0; i < 400; i++) await api.redis.xadd(`${api.prefix}live`, '*', ...entry);
    await healthy.until(() => healthy.events.filter(ofType('job.queued')).length >= 400);
    const begun = performance.now();
    const stopped = api.stop().then(() => 'stopped');
    expect(await Promise.race([stopped, sleep(8_000, 'still there')])).toBe('stopped');
    expect(performance.now() - begun).toBeLessThan(6_000);
    socket.destroy();
    await stopped;
  });

  test('that never had Redis refuses streams in time', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url });
    redis.kill('SIGKILL');
    await redis.exited;
    const { status, json } = await api.get('/v1/events');
    expect([status, json.code]).toEqual([503, 'redis_unavailable']);
  });
});
