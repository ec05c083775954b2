import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { type Api, openApi } from '../api/running-api.ts';
import { startRedisInstance } from '../support/redis-instance.ts';
import { ofType, type ReceivedEvent, watchEvents } from './event-client.ts';

/** Writes an entry of a job, as a script of Redis does. */
function tell(api: Api, job: string, type = 'job.queued', account = 'default') {
  const fields = { account, type, at: String(Date.now()), job };
  return api.redis.xadd(`${api.prefix}live`, 'MAXLEN', '~', 10_000, '*', ...Object.entries(fields).flat());
}

const written = (events: readonly ReceivedEvent[]) => events.filter(ofType('job.queued')).map(({ id }) => id);

describe('a client whose connection breaks', () => {
  test('gets every event once and in order, wherever the breaks are', async () => {
    await using api = await openApi({ streamLimits: { heartbeatMs: 20 } });
    const { id: job } = await api.submit();
    const other = await api.submit();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ own: fc.integer({ min: 0, max: 60 }), others: fc.integer({ min: 0, max: 220 }) }), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 4 }),
        async (rounds, breaks) => {
          const path = `/v1/jobs/${job}/events`;
          const first = await watchEvents(api, path);
          const ids: (string | null)[] = [];
          let done = false;
          const writing = (async () => {
            for (const { own, others } of rounds) {
              await Promise.all(Array.from({ length: others }, () => tell(api, other.id)));
              for (let i = 0; i < own; i++) ids.push(await tell(api, job));
            }
            done = true;
          })();
          const received: string[] = [];
          let client = first;
          let lastId = (await client.event(ofType('snapshot'))).id;
          for (const most of breaks) {
            // Cut in the middle of what flows, after a few more events or as soon as all is written.
            await vi.waitFor(() => expect(done || written(client.events).length >= most).toBe(true), {
              interval: 1,
              timeout: 15_000,
            });
            client.close();
            await client.ended;
            received.push(...written(client.events));
            lastId = client.lastId || lastId;
            client = await watchEvents(api, path, { 'last-event-id': lastId });
          }
          await writing;
          await vi.waitFor(() => expect(received.length + written(client.events).length).toBe(ids.length), {
            timeout: 10_000,
          });
          client.close();
          await client.ended;
          received.push(...written(client.events));
          expect(client.events.filter(ofType('reset'))).toEqual([]);
          expect(received).toEqual(ids);
        },
      ),
      { numRuns: 8, endOnFailure: true },
    );
  }, 120_000);

  test('gets what came since from far back, and all that comes meanwhile', async () => {
    await using api = await openApi();
    const { id: job } = await api.submit();
    await using before = await watchEvents(api, '/v1/events');
    const { id: from } = await before.event(ofType('snapshot'));
    before.close();
    const ids: (string | null)[] = [];
    for (let i = 0; i < 1500; i += 100)
      ids.push(...(await Promise.all(Array.from({ length: 100 }, () => tell(api, job)))));
    await using client = await watchEvents(api, '/v1/events', { 'last-event-id': from });
    for (let i = 0; i < 300; i++) ids.push(await tell(api, job));
    await client.until(() => written(client.events).length >= ids.length);
    expect(written(client.events)).toEqual(ids);
  }, 120_000);

  test('is shown anew when what it has not heard is not kept any more', async () => {
    await using api = await openApi();
    const { id: job } = await api.submit();
    await using before = await watchEvents(api, `/v1/jobs/${job}/events`);
    const { id: from } = await before.event(ofType('snapshot'));
    before.close();
    await using all = await watchEvents(api, '/v1/events');
    await all.event(ofType('snapshot'));
    let last: string | null = '';
    for (let i = 0; i < 10; i++) last = await tell(api, job);
    // Whoever listens has heard all of it: to the server nothing is lost.
    await all.until(() => all.lastId === last);
    await api.redis.xtrim(`${api.prefix}live`, 'MAXLEN', 3);
    await using client = await watchEvents(api, `/v1/jobs/${job}/events`, { 'last-event-id': from });
    const reset = await client.event(() => true);
    expect(reset).toMatchObject({ event: 'reset', data: { data: { id: job, status: 'queued' } } });
    const id = await tell(api, job);
    await client.until(() => client.events.length > 1);
    expect(client.events.slice(1).map((event) => event.id)).toEqual([id]);
  });

  test('may go on from what a heartbeat said, though all since was of others', async () => {
    await using api = await openApi({ streamLimits: { heartbeatMs: 30 } });
    const { id: job } = await api.submit();
    const other = await api.submit();
    await using before = await watchEvents(api, `/v1/jobs/${job}/events`);
    const { id: from } = await before.event(ofType('snapshot'));
    let last: string | null = '';
    for (let i = 0; i < 20; i++) last = await tell(api, other.id);
    await before.until(() => before.lastId === last);
    expect(before.events).toHaveLength(1);
    before.close();
    await api.redis.xtrim(`${api.prefix}live`, 'MAXLEN', 1);
    await using old = await watchEvents(api, `/v1/jobs/${job}/events`, { 'last-event-id': from });
    await old.event(ofType('reset'));
    await using client = await watchEvents(api, `/v1/jobs/${job}/events`, { 'last-event-id': before.lastId });
    const id = await tell(api, job);
    await client.until(() => client.events.length > 0);
    expect(client.events.map((event) => event.id)).toEqual([id]);
  });
});

describe('a stream that is open', () => {
  test('is told a reset when entries were dropped before they were read', async () => {
    await using api = await openApi();
    const { id: job } = await api.submit();
    await using client = await watchEvents(api, `/v1/jobs/${job}/events`);
    await client.event(ofType('snapshot'));
    const stream = `${api.prefix}live`;
    await api.redis
      .multi()
      .del(stream)
      .xadd(stream, '1-1', 'account', 'default', 'type', 'job.queued', 'job', job)
      .exec();
    const reset = await client.event(ofType('reset'));
    expect(reset).toMatchObject({ id: '1-1', data: { data: { id: job } } });
    const id = await tell(api, job);
    await client.until(() => client.lastId === id);
  });

  test('lives through an emptied Redis: batches are shown anew, jobs are gone', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url, streamLimits: { heartbeatMs: 100 } });
    const { id: job } = await api.submit();
    await using ofJob = await watchEvents(api, `/v1/jobs/${job}/events`);
    await using ofAll = await watchEvents(api, '/v1/events');
    await using upload = await fetch(`${api.url}/v1/batches`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: 'prompt\nA fox\nA hen\n',
    }).then(async (answer) => ({ json: await answer.json(), [Symbol.asyncDispose]: async () => undefined }));
    const batch = (upload.json as { id: string }).id;
    await using ofBatch = await watchEvents(api, `/v1/batches/${batch}/events`);
    for (const client of [ofJob, ofAll, ofBatch]) await client.event(ofType('snapshot'));
    const { lastId } = ofAll;
    await api.redis.flushall();
    const reset = await ofBatch.event(ofType('reset'));
    expect(reset.data.data).toMatchObject({ id: batch, status: 'running', counts: { total: 2 } });
    await ofAll.event(ofType('reset'));
    expect(await ofJob.ended).toBe('ended');
    expect(ofJob.events.map(({ event }) => event)).toEqual(['snapshot']);
    await vi.waitFor(async () => expect((await fetch(`${api.url}/health/ready`)).status).toBe(200), {
      timeout: 10_000,
    });
    await using back = await watchEvents(api, '/v1/events', { 'last-event-id': lastId });
    await back.event(ofType('reset'));
    const { id } = await api.submit();
    for (const client of [ofAll, back])
      await client.event(({ event, data }) => event === 'job.queued' && data.data.id === id);
  });

  test('stays while Redis is away, and goes on where it was', async () => {
    await using redis = await startRedisInstance({ persistence: 'aof' });
    await using api = await openApi({ redisUrl: redis.url, streamLimits: { heartbeatMs: 100 } });
    // What is acknowledged is in the file, not only within a second.
    await api.redis.config('SET', 'appendfsync', 'always');
    const { id: job } = await api.submit();
    await using client = await watchEvents(api, `/v1/jobs/${job}/events`);
    await client.event(ofType('snapshot'));
    const before = await tell(api, job);
    await client.until(() => client.lastId === before);
    redis.kill('SIGKILL');
    await redis.exited;
    const { comments } = client;
    await client.until(() => client.comments > comments + 2);
    await redis.restart();
    await vi.waitFor(() => api.succeed(job), { timeout: 10_000 });
    expect(await client.ended).toBe('ended');
    expect(client.events.map(({ event }) => event)).toEqual(['snapshot', 'job.queued', 'job.succeeded']);
  });
});
