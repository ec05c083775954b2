import { newId } from '@renderyard/shared/ids';
import { describe, expect, test } from 'vitest';
import { IMAGE, openApi, sharedApi } from '../api/running-api.ts';
import { ofType, watchEvents } from './event-client.ts';

describe('a job that is watched', () => {
  const api = sharedApi();

  test('is shown first, then what becomes of it, and the stream ends with it', async () => {
    const { id } = await api().submit();
    await using client = await watchEvents(api(), `/v1/jobs/${id}/events`);
    expect(client.status).toBe(200);
    expect(client.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(client.headers.get('cache-control')).toBe('no-store');
    expect(client.headers.get('x-accel-buffering')).toBe('no');
    expect(client.headers.get('content-encoding')).toBeNull();
    const snapshot = await client.event(ofType('snapshot'));
    expect(snapshot.data).toMatchObject({
      type: 'snapshot',
      timestamp: expect.any(String),
      data: { id, status: 'queued' },
    });
    expect(client.retry).toBe(2000);
    const call = await api().startCall(id);
    const processing = await client.event(ofType('job.processing'));
    expect(processing.data.data).toMatchObject({ id, status: 'processing' });
    const settlement = { kind: 'spent', cost: 20_000_000 } as const;
    await api().jobs.record({ job: id, status: 'succeeded', output: [IMAGE], call: { id: call, settlement } }, 1000);
    expect(await client.ended).toBe('ended');
    const { json } = await api().get(`/v1/jobs/${id}`);
    const last = client.events.at(-1);
    expect(last?.data).toEqual({ type: 'job.succeeded', timestamp: json.ended_at, data: json });
    expect(client.events.map(({ event }) => event)).toEqual(['snapshot', 'job.processing', 'job.succeeded']);
    expect(client.events.map(({ id: each }) => each)).toEqual([...new Set(client.events.map(({ id: each }) => each))]);
  });

  test.each(['failed', 'canceled'])('and %s is told so', async (status) => {
    const { id } = await api().submit();
    await using client = await watchEvents(api(), `/v1/jobs/${id}/events`);
    await client.event(ofType('snapshot'));
    if (status === 'failed') await api().fail(id);
    else await api().post(`/v1/jobs/${id}/cancel`, {});
    expect(await client.ended).toBe('ended');
    expect(client.events.at(-1)).toMatchObject({ event: `job.${status}`, data: { data: { id, status } } });
  });

  test('and has ended is shown, and the stream ends', async () => {
    const { id } = await api().submit();
    await api().succeed(id);
    await using client = await watchEvents(api(), `/v1/jobs/${id}/events`);
    expect(await client.ended).toBe('ended');
    expect(client.events).toHaveLength(1);
    expect(client.events[0]).toMatchObject({ event: 'snapshot', data: { data: { id, status: 'succeeded' } } });
  });

  test('and has ended is told to a client that comes back, once; then it is told that there is no more', async () => {
    const { id } = await api().submit();
    const path = `/v1/jobs/${id}/events`;
    await using before = await watchEvents(api(), path);
    const { id: from } = await before.event(ofType('snapshot'));
    before.close();
    await api().succeed(id);
    await using back = await watchEvents(api(), path, { 'last-event-id': from });
    expect(await back.ended).toBe('ended');
    expect(back.events.map(({ event }) => event)).toEqual(['job.succeeded']);
    expect((await api().get(path, { 'last-event-id': back.lastId })).status).toBe(204);
    expect((await api().get(`${path}?last_event_id=${back.lastId}`)).status).toBe(204);
    // The header is newer than the address, which stays the same.
    expect((await api().get(`${path}?last_event_id=${from}`, { 'last-event-id': back.lastId })).status).toBe(204);
  });

  test('and has ended is told from where a client was on, to the last event', async () => {
    const { id } = await api().submit();
    const path = `/v1/jobs/${id}/events`;
    await using before = await watchEvents(api(), path);
    const { id: from } = await before.event(ofType('snapshot'));
    before.close();
    const call = await api().startCall(id);
    const settlement = { kind: 'spent', cost: 20_000_000 } as const;
    await api().jobs.record({ job: id, status: 'succeeded', output: [IMAGE], call: { id: call, settlement } }, 1000);
    await using back = await watchEvents(api(), path, { 'last-event-id': from });
    expect(await back.ended).toBe('ended');
    expect(back.events.map(({ event }) => event)).toEqual(['job.processing', 'job.succeeded']);
    // As it is when it is sent.
    expect(back.events.map(({ data }) => data.data.status)).toEqual(['succeeded', 'succeeded']);
  });

  test.each(['nonsense', '1-1', '99999999999999-0', '18446744073709551615-18446744073709551615', '0-0'])(
    'by a client whose last event, %s, is none of the stream is shown anew',
    async (lastId) => {
      const { id } = await api().submit();
      await using client = await watchEvents(api(), `/v1/jobs/${id}/events`, { 'last-event-id': lastId });
      const reset = await client.event(() => true);
      expect(reset).toMatchObject({ event: 'reset', data: { type: 'reset', data: { id, status: 'queued' } } });
      expect(reset.id).not.toBe(lastId);
    },
  );

  test('carries a prompt with line breaks of every kind', async () => {
    const prompt = 'one\ntwo\r\nthree\rdata: four\u2028five';
    const { id } = await api().submit({ prompt });
    await using client = await watchEvents(api(), `/v1/jobs/${id}/events`);
    const snapshot = await client.event(ofType('snapshot'));
    expect(snapshot.data.data.input.prompt).toBe(prompt);
  });

  test('that does not exist is not found', async () => {
    for (const id of [newId('job'), 'nonsense', `${newId('job')}_1`]) {
      const { status, json } = await api().get(`/v1/jobs/${id}/events`);
      expect([status, json.code]).toEqual([404, 'not_found']);
    }
    expect((await api().get(`/v1/jobs/${newId('job')}/events`, { 'last-event-id': '1-1' })).status).toBe(404);
    expect((await fetch(`${api().url}/v1/events`, { method: 'HEAD' })).status).toBe(405);
  });

  test('with a query that is not known is refused', async () => {
    const { id } = await api().submit();
    expect((await api().get(`/v1/jobs/${id}/events?rows=true`)).status).toBe(400);
    expect((await api().get('/v1/events?types=job.done')).status).toBe(400);
    expect((await api().get('/v1/events?types=')).status).toBe(400);
  });
});

test('what another account has made is not found, and what it does is not heard', async () => {
  await using api = await openApi({
    env: { RENDERYARD_API_KEYS: 'acme:secret-of-acme-0001,zenith:secret-of-zenith-1' },
  });
  const acme = { authorization: 'Bearer secret-of-acme-0001' };
  const zenith = { authorization: 'Bearer secret-of-zenith-1' };
  const theirs = await api.submit({ prompt: 'A fox' }, acme);
  expect((await api.get(`/v1/jobs/${theirs.id}/events`, zenith)).status).toBe(404);
  expect((await api.get(`/v1/jobs/${theirs.id}/events`)).status).toBe(401);
  await using client = await watchEvents(api, '/v1/events', zenith);
  await client.event(ofType('snapshot'));
  await api.succeed(theirs.id);
  const own = await api.submit({ prompt: 'A hen' }, zenith);
  await api.succeed(own.id);
  await client.event(ofType('job.succeeded'));
  const told = client.events.filter(({ event }) => event.startsWith('job.')).map(({ data }) => data.data.id);
  expect(new Set(told)).toEqual(new Set([own.id]));
});
