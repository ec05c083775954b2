import { once } from 'node:events';
import { connect } from 'node:net';
import { isFinal } from '@renderyard/shared/job/job';
import { describe, expect, test, vi } from 'vitest';
import { blockedReads } from '../live/blocked-reads.ts';
import { startRedisInstance } from '../support/redis-instance.ts';
import { type Api, openApi } from './running-api.ts';

const BODY = { input: { prompt: 'A fox' } };

/** The first job that stands in the account's list. */
async function firstJob(api: Api): Promise<string> {
  return vi.waitFor(async () => {
    const [job] = await api.jobs.list('default', { limit: 1 });
    if (job === undefined) throw new Error('no job yet');
    return job.id;
  });
}

describe('Prefer: wait', () => {
  test('a job that ends in time is answered with 200', async () => {
    await using api = await openApi();
    const waiting = api.post('/v1/jobs', BODY, { prefer: 'respond-async, wait=30' });
    const id = await firstJob(api);
    await api.succeed(id);
    const { status, headers, json } = await waiting;
    expect(status).toBe(200);
    expect(headers.get('preference-applied')).toBe('wait=30');
    expect(headers.get('location')).toBe(json.urls.self);
    expect(json).toMatchObject({ id, status: 'succeeded', output: [{ key: 'jobs/picture.png' }] });
  });

  test('a job that does not end in time is answered with 202', async () => {
    await using api = await openApi();
    const begun = performance.now();
    const { status, headers, json } = await api.post('/v1/jobs', BODY, { prefer: 'wait=1' });
    expect(status).toBe(202);
    expect(json.status).toBe('queued');
    expect(headers.get('preference-applied')).toBe('wait=1');
    expect(performance.now() - begun).toBeGreaterThan(950);
  });

  test.each(['wait=0', 'wait', 'wait=x', 'return=minimal'])('%s is ignored', async (prefer) => {
    await using api = await openApi();
    const { status, headers } = await api.post('/v1/jobs', BODY, { prefer });
    expect(status).toBe(202);
    expect(headers.get('preference-applied')).toBeNull();
  });

  test('an end whose word was lost with the connection is seen after it is made again', async () => {
    await using redis = await startRedisInstance({ persistence: 'aof' });
    await using api = await openApi({ redisUrl: redis.url });
    const waiting = api.post('/v1/jobs', BODY, { prefer: 'wait=30' });
    const id = await firstJob(api);
    const listeners = await blockedReads(api.redis);
    expect(listeners).toHaveLength(1);
    // The job ends while nobody can hear of it: the connection is gone, and its state is written without the word.
    await api.redis
      .multi()
      .call('CLIENT', 'KILL', 'ID', listeners[0] ?? '')
      .hset(`${api.prefix}job:${id}`, 'status', 'canceled')
      .exec();
    const { status, json } = await waiting;
    expect([status, json.status]).toEqual([200, 'canceled']);
  });

  test('a server that stops answers those who wait with the job as it is', async () => {
    await using api = await openApi();
    const waiting = api.post('/v1/jobs', BODY, { prefer: 'wait=60' });
    const id = await firstJob(api);
    await api.stop();
    const { status, json } = await waiting;
    expect([status, json.id, isFinal(json.status)]).toEqual([202, id, false]);
  });

  test('a client that leaves frees what waits for it, and its answer is kept for its key', async () => {
    await using api = await openApi();
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    const text = JSON.stringify(BODY);
    socket.write(
      `POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: gone\r\nPrefer: wait=60\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    const id = await firstJob(api);
    socket.destroy();
    await once(socket, 'close');
    const record = await vi.waitFor(() => {
      const found = api.logs.find((line) => line.msg === 'request');
      if (found === undefined) throw new Error('the request is not over');
      return found;
    });
    expect(record).toMatchObject({ job_id: id, status: 499 });
    const again = await vi.waitFor(async () => {
      const answer = await api.post('/v1/jobs', BODY, { 'idempotency-key': 'gone' });
      expect(answer.status).toBe(202);
      return answer;
    });
    expect(again.json.id).toBe(id);
  });
});
