import { createHash } from 'node:crypto';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, test } from 'vitest';
import { type StreamEvent, watch } from './yard/event-stream.ts';
import { YARD_MS } from './yard/ground.ts';
import { type Json, SMALL, startYard, type Yard } from './yard/yard.ts';

let yard: Yard;
beforeAll(async () => {
  yard = await startYard();
  return () => yard[Symbol.asyncDispose]();
}, YARD_MS);

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const order = (prompt: string) => ({ input: { prompt, ...SMALL } });

describe('one image', () => {
  test('is made while the request waits, and is the one that was billed: by its link, and in the bucket', async () => {
    const prompt = 'A lighthouse made of books, at dawn — “ünïcödé” 🎉';
    const answer = await yard.call('POST', '/v1/jobs', { body: order(prompt), headers: { prefer: 'wait=30' } });
    const job: Json = await answer.json();
    expect([answer.status, job.status]).toEqual([200, 'succeeded']);
    expect(answer.headers.get('preference-applied')).toBe('wait=30');

    const billed = (await yard.ledger()).filter((entry) => entry.prompt === prompt);
    expect(billed).toHaveLength(1);
    expect(job.cost).toBeCloseTo(billed[0]?.cost ?? -1, 9);
    expect(job.output[0].sha256).toBe(billed[0]?.image_sha256);

    const link = await yard.call('GET', `/v1/jobs/${job.id}/image`, { headers: {} });
    expect(link.status).toBe(200);
    expect(link.headers.get('content-type')).toBe('image/jpeg');
    expect(sha256(await link.bytes())).toBe(billed[0]?.image_sha256);

    const object = await yard.bucket.s3.send(
      new GetObjectCommand({ Bucket: yard.bucket.name, Key: job.output[0].key }),
    );
    expect(sha256((await object.Body?.transformToByteArray()) ?? new Uint8Array())).toBe(billed[0]?.image_sha256);
  });

  test('is handed out by a link that anyone can open and nobody can change', async () => {
    const job = await yard.json('POST', '/v1/jobs', { body: order('a gate'), headers: { prefer: 'wait=30' } });
    const redirect = await fetch(new URL(`/v1/jobs/${job.id}/image`, yard.api.url), {
      headers: { authorization: `Bearer ${yard.keys.shop}` },
      redirect: 'manual',
    });
    expect(redirect.status).toBe(302);
    const link = new URL(redirect.headers.get('location') ?? '', yard.api.url);
    const opened = await fetch(link);
    expect([opened.status, sha256(await opened.bytes())]).toEqual([200, job.output[0].sha256]);
    link.pathname = link.pathname.replace(/(.)\.jpg$/, (_, last) => `${last === 'x' ? 'y' : 'x'}.jpg`);
    const changed = await fetch(link);
    await changed.body?.cancel();
    expect([400, 403, 404]).toContain(changed.status);
  });

  test('is watched as server-sent events until it has ended', async () => {
    await yard.json('POST', '/v1/credits/hold', { body: { detail: 'so that the stream is open before it ends' } });
    const { id } = await yard.json('POST', '/v1/jobs', { body: order('a river in flood') });
    const events: StreamEvent[] = [];
    for await (const event of watch(yard, `/v1/jobs/${id}/events`)) {
      events.push(event);
      if (event.event === 'snapshot') await yard.json('POST', '/v1/credits/resume');
    }
    expect(events[0]).toMatchObject({ event: 'snapshot', data: { data: { id, status: 'queued' } } });
    expect(events.at(-1)?.event).toBe('job.succeeded');
    expect(events.at(-1)?.data.data).toMatchObject({ id, status: 'succeeded', output: [{ width: 64, height: 64 }] });
  });

  test('that the upstream refuses fails with a reason, and costs nothing', async () => {
    const rule = {
      match: { prompt_contains: 'broken' },
      effect: { kind: 'status', status: 400, message: 'bad input' },
    };
    await yard.control('POST', 'faults', rule);
    const job = await yard.json('POST', '/v1/jobs', { body: order('a broken clock'), headers: { prefer: 'wait=30' } });
    expect(job).toMatchObject({ status: 'failed', cost: 0, output: [] });
    expect(job.error.code).toMatch(/^[a-z_]+$/);
    expect((await yard.ledger()).some(({ prompt }) => prompt.includes('broken'))).toBe(false);
  });
});

describe('a request', () => {
  test('with the same idempotency key makes one job, with one answer; with another body it is refused', async () => {
    const headers = { 'idempotency-key': 'order-4711', prefer: 'wait=30' };
    const first = await yard.call('POST', '/v1/jobs', { body: order('two trains'), headers });
    const again = await yard.call('POST', '/v1/jobs', { body: order('two trains'), headers });
    expect([first.headers.get('idempotency-replayed'), again.headers.get('idempotency-replayed')]).toEqual([
      null,
      'true',
    ]);
    expect(await again.json()).toEqual(await first.json());
    expect((await yard.ledger()).filter(({ prompt }) => prompt === 'two trains')).toHaveLength(1);
    const other = await yard.call('POST', '/v1/jobs', { body: order('three trains'), headers });
    const refused: Json = await other.json();
    expect([other.status, refused.code]).toEqual([422, 'idempotency_key_reused']);
  });

  test('is told everything that is wrong with it at once, and its id', async () => {
    const body = { input: { prompt: '', steps: 1000, colour: 'red' } };
    const answer = await yard.call('POST', '/v1/jobs', { body });
    const problem: Json = await answer.json();
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
    expect([answer.status, problem.code]).toEqual([400, 'invalid_request']);
    for (const place of ['prompt', 'steps', 'colour']) expect(JSON.stringify(problem.errors)).toContain(place);
  });

  test('needs a key, and sees what its own account has made only', async () => {
    const refused = await yard.call('GET', '/v1/jobs', { key: null });
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('Bearer')]);
    const wrong = await yard.call('GET', '/v1/jobs', { key: 'not-a-key-of-anyone' });
    expect(wrong.status).toBe(401);
    const { id } = await yard.json('POST', '/v1/jobs', { body: order('mine'), headers: { prefer: 'wait=30' } });
    for (const path of [`/v1/jobs/${id}`, `/v1/jobs/${id}/image`])
      expect((await yard.call('GET', path, { key: yard.keys.other })).status).toBe(404);
    expect((await yard.json('GET', '/v1/jobs', { key: yard.keys.other })).data).toEqual([]);
    expect((await yard.json('GET', '/v1/jobs')).data.map((job: { id: string }) => job.id)).toContain(id);
  });
});

test('every route that this suite asks for stands in the document for tools', async () => {
  const document = await yard.json('GET', '/openapi.json', { key: null });
  expect(document.openapi).toMatch(/^3\.1/);
  for (const path of ['/v1/jobs', '/v1/jobs/{id}/image', '/v1/batches/{id}/results.csv', '/v1/credits/hold'])
    expect(Object.keys(document.paths)).toContain(path);
});
