import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { KEY, MODEL, REQUIRED, type Simulated, SMALL, simulate } from './simulate.ts';
import { exchange, rawRequest, split } from './wire.ts';

const good = { ...SMALL, prompt: 'a lighthouse' };

/** Each refusal: what is asked, and the status and message that come back. */
const REFUSALS: readonly (readonly [string, (simulator: Simulated) => Promise<Response>, number, RegExp])[] = [
  ['a body that is no JSON', (s) => s.post('{"prompt":'), 400, /not valid JSON/],
  ['a body that is no UTF-8', (s) => s.post(Buffer.from('{"prompt":"\xff"}', 'latin1')), 400, /UTF-8/],
  ['an empty body', (s) => s.post(''), 400, /not valid JSON/],
  ['a body that is a list', (s) => s.post([good]), 400, /JSON object/],
  ['a key that does not begin with SG_', (s) => s.post(good, { 'x-api-key': 'sk_123' }), 401, /API key/],
  ['an empty key', (s) => s.post(good, { 'x-api-key': '' }), 401, /API key/],
  [
    'an unknown model',
    (s) => fetch(`${s.url}/v1/no-such-model`, { method: 'POST', headers: { 'x-api-key': KEY }, body: '{}' }),
    404,
    /Model not found/,
  ],
  [
    'a retired model',
    (s) => fetch(`${s.url}/v1/old-model`, { method: 'POST', headers: { 'x-api-key': KEY }, body: '{}' }),
    410,
    /retired/,
  ],
  ['another content type', (s) => s.post(good, { 'content-type': 'text/plain' }), 406, /content type/],
  ['a sampler that it does not know', (s) => s.post({ ...good, sampler: 'ddim' }), 406, /parameter sampler/],
  ['a price above the balance', (s) => s.post({ ...good, width: 2048, height: 2048 }), 406, /Not enough credits/],
  ['no sampler', (s) => s.post({ ...good, sampler: undefined }), 422, /sampler is required/],
  ['no prompt', (s) => s.post(SMALL), 422, /prompt is required/],
  ['a number as text', (s) => s.post({ ...good, steps: '30' }), 422, /steps must be an integer from 10 to 70/],
  ['a misspelt parameter', (s) => s.post({ ...good, step: 30 }), 422, /step is not a parameter/],
  ['more than 1 MiB', (s) => s.post({ ...good, prompt: 'x'.repeat(1024 * 1024) }), 413, /too large/],
  ['a path that is not there', (s) => fetch(`${s.url}/v2/${MODEL}`), 404, /Not found/],
];

describe('a refused call', () => {
  test.each(REFUSALS)(
    'for %s gets its status and a JSON error, and costs nothing',
    async (_what, ask, status, message) => {
      const simulator = await simulate({ balance: '0.02', retiredModels: ['old-model'] });
      const response = await ask(simulator);
      expect(response.status).toBe(status);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(await response.json()).toEqual({ error: expect.stringMatching(message) });
      expect(await simulator.control.state()).toMatchObject({
        balance_exact: '0.02',
        held_exact: '0',
        billed_count: 0,
      });
      const { data } = await simulator.control.calls();
      expect(data).toMatchObject([{ status, answer: 'whole' }]);
    },
  );

  test('without a key gets 401', async () => {
    const { port } = await simulate();
    const received = await exchange(
      port,
      `POST /v1/${MODEL} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}`,
    );
    expect(split(received).head).toMatch(/^HTTP\/1\.1 401 /);
  });

  test.each(['GET', 'PUT', 'DELETE', 'PATCH'])('with %s gets 405 in HTML', async (method) => {
    const { url } = await simulate();
    const response = await fetch(`${url}/v1/${MODEL}`, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('content-type')).toMatch(/^text\/html/);
    expect(response.headers.get('allow')).toBe('POST');
    expect(await response.text()).toMatch(/^<!DOCTYPE html>/);
  });

  test('with a key that may not use the model gets 403', async () => {
    const { control, render } = await simulate();
    await control.keys({ models: { [KEY]: ['another-model'] } });
    const response = await render('x');
    expect([response.status, await response.json()]).toEqual([403, { error: expect.stringMatching(/not allowed/) }]);
    await control.keys({ models: { [KEY]: null } });
    expect((await render('x')).status).toBe(200);
  });

  test('beyond the rate gets 429 with the end of the minute, and no Retry-After', async () => {
    const { render } = await simulate({ rateLimit: 2 });
    const startedAt = Date.now();
    expect([(await render('a')).status, (await render('b')).status]).toEqual([200, 200]);
    const response = await render('c');
    expect(response.status).toBe(429);
    expect(response.headers.has('retry-after')).toBe(false);
    const resetsAt = Date.parse(response.headers.get('x-rate-limit-reset-at-utc') ?? '');
    expect(resetsAt).toBeGreaterThanOrEqual(startedAt + 60_000);
    expect(resetsAt).toBeLessThanOrEqual(Date.now() + 60_000);
  });

  test('beyond the spend limit gets 406 with a message of its own', async () => {
    const { render } = await simulate({ spendLimit: '0.0001' });
    expect((await render('a')).status).toBe(200);
    const response = await render('b');
    expect([response.status, await response.json()]).toEqual([406, { error: expect.stringMatching(/spend limit/) }]);
    // What is left of it is enough for a call that costs less.
    expect((await render('c', { steps: 10 })).status).toBe(200);
  });
});

describe('a render', () => {
  test('answers raw bytes and all headers when base64 is false', async () => {
    const { control, post } = await simulate();
    const response = await post({ ...REQUIRED, prompt: 'a lighthouse', base64: false });
    expect(response.status).toBe(200);
    const image = Buffer.from(await response.arrayBuffer());
    const { data } = await control.ledger();
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': String(image.length),
      'x-cost': '0.0138',
      'x-remaining-credits': '9.9862',
      'x-seed-value': '98552302',
      'x-request-id': data[0]?.request_id,
      'x-generation-time': expect.stringMatching(/^\d+\.\d{3}$/),
      'x-rate-limit-reset-at-utc': expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
    expect(data).toMatchObject([
      {
        seed: 98_552_302,
        width: 1024,
        height: 1024,
        parameters: { ...REQUIRED, prompt: 'a lighthouse', base64: false },
        image_sha256: createHash('sha256').update(image).digest('hex'),
        image_bytes: image.length,
        answer: 'whole',
      },
    ]);
  });

  test('answers JSON with the same image when base64 is true, which is what it is when it is left out', async () => {
    const { post } = await simulate();
    const raw = Buffer.from(await (await post(good)).arrayBuffer());
    for (const body of [
      { ...good, base64: true },
      { ...good, base64: undefined },
    ]) {
      const response = await post(body);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(await response.json()).toEqual({ image: raw.toString('base64') });
    }
  });

  test('draws a seed of its own for -1, says which, and makes the same picture from it again', async () => {
    const { render } = await simulate();
    const first = await render('a', { seed: -1 });
    const second = await render('a', { seed: -1 });
    const seed = Number(first.headers.get('x-seed-value'));
    expect(Number(second.headers.get('x-seed-value'))).not.toBe(seed);
    const again = await render('a', { seed });
    expect(await again.bytes()).toEqual(await first.bytes());
  });

  test('takes the content type with a charset', async () => {
    const { post } = await simulate();
    expect((await post(good, { 'content-type': 'Application/JSON; charset=utf-8' })).status).toBe(200);
  });

  test('takes one request after another on a connection, and several at once', async () => {
    const { port } = await simulate();
    const request = rawRequest(JSON.stringify({ ...good, base64: true }));
    const last = request.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n');
    const { bytes } = await exchange(port, request + request + last);
    expect(bytes.toString('latin1').match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
  });
});

describe('the other endpoints', () => {
  test('the balance is exact, free credits apart, and costs nothing', async () => {
    const { control, url } = await simulate({ balance: '0', freeCredits: '0.0184921035' });
    const response = await fetch(`${url}/v1/get-user-credits`, { headers: { 'x-api-key': KEY } });
    expect(await response.text()).toBe('{"credits":0,"free-credits":0.0184921035}');
    expect((await control.state()).balance_exact).toBe('0.0184921035');
    expect((await fetch(`${url}/v1/get-user-credits`)).status).toBe(401);
    expect((await fetch(`${url}/v1/get-user-credits`, { method: 'POST' })).status).toBe(405);
  });

  test('free credits are used up first', async () => {
    const { render, url } = await simulate({ balance: '1', freeCredits: '0.0001', price: '0.0512' });
    expect((await render('a')).headers.get('x-cost')).toBe('0.0002');
    const response = await fetch(`${url}/v1/get-user-credits`, { headers: { 'x-api-key': KEY } });
    expect(await response.text()).toBe('{"credits":0.9999,"free-credits":0}');
  });

  test('the catalogue lists the models in force, and needs no key', async () => {
    const { control, url } = await simulate({ models: [MODEL, 'another-model'] });
    const list = async () => (await fetch(`${url}/inference-model-information/list?segmind_model=True`)).json();
    expect(await list()).toMatchObject([{ slug: MODEL }, { slug: 'another-model', type: 'txt2img' }]);
    await control.models({ retire: ['another-model'] });
    expect(await list()).toMatchObject([{ slug: MODEL }]);
  });
});
