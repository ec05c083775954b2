import { createHash } from 'node:crypto';
import { type FaultEffect, type FaultRule, parseFaultRules } from '@renderyard/simulator/fault-rules';
import { startSimulator } from '@renderyard/simulator/simulator';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';
import { KEY, SMALL, simulate } from './simulate.ts';
import { drain, exchange, open, rawRequest, split } from './wire.ts';

const request = rawRequest(JSON.stringify({ ...SMALL, prompt: 'a lighthouse' }), ['connection: close']);
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A simulator with one rule for every call, and what comes over a bare connection. */
async function underFault(effect: FaultEffect) {
  const simulator = await simulate({ faults: [{ id: 'it', effect }] });
  const received = await exchange(simulator.port, request);
  const { data } = await simulator.control.ledger();
  const calls = await simulator.control.calls();
  return { ...simulator, ...received, ...split(received), entry: data[0], call: calls.data[0] };
}

describe('a status fault', () => {
  test.each([
    [400, 'json'],
    [401, 'json'],
    [403, 'json'],
    [404, 'json'],
    [405, 'html'],
    [406, 'json'],
    [410, 'json'],
    [422, 'json'],
    [429, 'json'],
    [500, 'json'],
    [502, 'html'],
    [503, 'html'],
    [504, 'html'],
  ] as const)('of %i has its kind of body, %s, and is not billed', async (status, kind) => {
    const { body, call, entry, head } = await underFault({ kind: 'status', status });
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    if (kind === 'html') expect(body.toString()).toMatch(/^<!DOCTYPE html>/);
    else expect(JSON.parse(body.toString())).toEqual({ error: expect.any(String) });
    expect(head).toMatch(kind === 'html' ? /content-type: text\/html/ : /content-type: application\/json/);
    expect(entry).toBeUndefined();
    expect(call).toMatchObject({ status, answer: 'whole', fault: 'it' });
  });

  test('of 406 says which 406 it is', async () => {
    const messages = await Promise.all(
      (['credits', 'content_type', 'parameter', 'spend_limit'] as const).map(async (reason) => {
        const { body } = await underFault({ kind: 'status', status: 406, reason });
        return JSON.parse(body.toString()).error as string;
      }),
    );
    expect(messages).toEqual([
      expect.stringMatching(/not enough credits/i),
      expect.stringMatching(/content type/i),
      expect.stringMatching(/invalid value/i),
      expect.stringMatching(/spend limit/i),
    ]);
  });

  test('takes a message, or a body and a content type as they stand', async () => {
    const told = await underFault({ kind: 'status', status: 500, message: 'the "model" fell over' });
    expect(JSON.parse(told.body.toString())).toEqual({ error: 'the "model" fell over' });
    const raw = await underFault({
      kind: 'status',
      status: 503,
      body: 'upstream connect error',
      content_type: 'text/plain',
    });
    expect(raw.body.toString()).toBe('upstream connect error');
    expect(raw.head).toMatch(/content-type: text\/plain/);
  });

  test('with billed: true comes after the render was paid for', async () => {
    const { entry, head } = await underFault({ kind: 'status', status: 504, billed: true });
    expect(head).toMatch(/^HTTP\/1\.1 504 /);
    expect(entry).toMatchObject({ answer: 'replaced', fault: 'it' });
  });
});

test.each([
  [{}, undefined],
  [{ reset_at: 'soon' }, 'soon'],
  [{ reset_at: '' }, ''],
] as const)('a rate limit fault with %j says so in its header alone', async (more, expected) => {
  const { control, render } = await simulate();
  await control.fault({ effect: { kind: 'rate_limit', ...more } });
  const { headers, status } = await render('x');
  expect([status, headers.get('x-rate-limit-reset-at-utc') ?? undefined]).toEqual([429, expected]);
  expect(headers.has('retry-after')).toBe(false);
});

test('a rate limit fault can end years from now, or before now', async () => {
  const { control, render } = await simulate();
  for (const reset_in_ms of [1e11, -1e11]) {
    await control.clearFaults();
    await control.fault({ effect: { kind: 'rate_limit', reset_in_ms } });
    const resetsAt = Date.parse((await render('x')).headers.get('x-rate-limit-reset-at-utc') ?? '');
    expect(Math.abs(resetsAt - Date.now() - reset_in_ms)).toBeLessThan(60_000);
  }
});

describe.each([false, true])('with billed: %s', (billed) => {
  test('a hang sends nothing, and ends with the client', async () => {
    const simulator = await simulate({ faults: [{ effect: { kind: 'hang', billed } }] });
    const socket = await open(simulator.port);
    const received = drain(socket);
    socket.write(request);
    await simulator.until(async () => {
      const { billed_count, held_exact, in_flight } = await simulator.control.state();
      return in_flight === 1 && held_exact === '0' && (billed_count === 1 || !billed);
    });
    expect(socket.bytesRead).toBe(0);
    socket.destroy();
    await received;
    await simulator.until(async () => (await simulator.control.state()).in_flight === 0);
    expect((await simulator.control.calls()).data).toMatchObject([{ status: null, answer: 'hung' }]);
    expect((await simulator.control.ledger()).data).toMatchObject(billed ? [{ answer: 'hung' }] : []);
    expect((await simulator.control.state()).billed_count).toBe(billed ? 1 : 0);
  });

  test('a reset comes before any byte', async () => {
    const { bytes, call, control, ended } = await underFault({ kind: 'reset', billed });
    expect([bytes.length, ended]).toEqual([0, 'ECONNRESET']);
    expect(call).toMatchObject({ status: null, answer: 'reset' });
    expect((await control.state()).billed_count).toBe(billed ? 1 : 0);
  });
});

describe('a body that is cut', () => {
  test('by length ends before what content-length announced', async () => {
    const { body, ended, entry, head } = await underFault({ kind: 'cut', by: 'length', share: 0.25 });
    const announced = Number(/content-length: (\d+)/.exec(head)?.[1]);
    expect(announced).toBe(entry?.image_bytes);
    expect(body.length).toBe(Math.floor(announced / 4));
    expect([ended, entry?.answer]).toEqual(['end', 'cut']);
  });

  test('by chunk ends without the last chunk', async () => {
    const { body, entry, head } = await underFault({ kind: 'cut', by: 'chunk', bytes: 100 });
    expect(head).toMatch(/transfer-encoding: chunked/);
    expect(head).not.toMatch(/content-length/);
    expect(body.subarray(0, 4).toString()).toBe('64\r\n');
    expect(body.length).toBe(4 + 100 + 2);
    expect(entry?.answer).toBe('cut');
  });

  test('by close looks whole to a client that does not look at the image', async () => {
    const { control, render } = await simulate();
    await control.fault({ effect: { kind: 'cut', by: 'close', share: 0.9 } });
    const response = await render('x');
    const image = await response.bytes();
    const { data } = await control.ledger();
    expect(response.headers.has('content-length')).toBe(false);
    expect(image.length).toBe(Math.floor((data[0]?.image_bytes ?? 0) * 0.9));
    expect(data).toMatchObject([{ answer: 'cut' }]);
    await expect(decode(image)).rejects.toThrow();
  });

  test.each(['length', 'chunk'] as const)('by %s fails in a client that reads it', async (by) => {
    const { control, render } = await simulate();
    await control.fault({ effect: { kind: 'cut', by } });
    await expect((await render('x')).bytes()).rejects.toThrow('terminated');
  });
});

describe('a 200 that is no image', () => {
  test.each([
    ['html', /^<!DOCTYPE html>/, 'text/html; charset=utf-8'],
    ['json', /^\{"status":"ok"\}$/, 'application/json'],
  ] as const)('is %s, and billed', async (kind, body, type) => {
    const { control, render } = await simulate();
    await control.fault({ effect: { kind } });
    const response = await render('x');
    expect([response.status, response.headers.get('content-type')]).toEqual([200, type]);
    expect(response.headers.get('x-cost')).not.toBeNull();
    expect(await response.text()).toMatch(body);
    expect((await control.ledger()).data).toMatchObject([{ answer: 'replaced' }]);
  });

  test('is not billed when the rule says so', async () => {
    const { control, render } = await simulate();
    await control.fault({ effect: { kind: 'json', body: { error: 'odd' }, billed: false } });
    const response = await render('x');
    expect([response.status, await response.json()]).toEqual([200, { error: 'odd' }]);
    expect((await control.state()).billed_count).toBe(0);
  });
});

test('a wrong content type leaves the image as it is', async () => {
  const { control, render } = await simulate();
  await control.fault({ effect: { kind: 'content_type', content_type: 'text/html' } });
  const response = await render('x');
  expect(response.headers.get('content-type')).toBe('text/html');
  expect(sha256(await response.bytes())).toBe((await control.ledger()).data[0]?.image_sha256);
});

test.each(['jpeg', 'png', 'webp'])(
  'an oversize %s is a whole, valid image of that many bytes',
  async (image_format) => {
    const { control, render } = await simulate();
    const bytes = 8 * 1024 * 1024;
    await control.fault({ effect: { kind: 'oversize', bytes } });
    const image = await (await render('x', { image_format })).bytes();
    const [entry] = (await control.ledger()).data;
    expect([image.length, sha256(image)]).toEqual([bytes, entry?.image_sha256]);
    expect(await decode(image)).toMatchObject({ format: image_format, width: 64, height: 64 });
    expect(sha256(await control.image(entry?.request_id ?? ''))).toBe(sha256(image));
  },
);

test('a drip sends the whole image in pieces', async () => {
  const { control, port } = await simulate({
    faults: [{ effect: { kind: 'drip', chunk_bytes: 300, interval_ms: 5 } }],
  });
  const socket = await open(port);
  let pieces = 0;
  socket.on('data', () => {
    pieces += 1;
  });
  const received = drain(socket);
  socket.write(request);
  const { body } = split(await received);
  const [entry] = (await control.ledger()).data;
  expect(sha256(body)).toBe(entry?.image_sha256);
  expect(pieces).toBeGreaterThan(3);
  expect(entry?.answer).toBe('whole');
});

test('a fault on a connection waits for the answer before it', async () => {
  const { port } = await simulate({
    faults: [
      { match: { ordinals: [1] }, effect: { kind: 'drip', chunk_bytes: 300, interval_ms: 20 } },
      { match: { ordinals: [2] }, effect: { kind: 'cut', by: 'close', bytes: 10 } },
    ],
  });
  const one = rawRequest(JSON.stringify({ ...SMALL, prompt: 'a lighthouse' }));
  const { body } = split(await exchange(port, one + one));
  const second = body.indexOf('HTTP/1.1 200 OK');
  expect(await decode(body.subarray(0, second))).toMatchObject({ format: 'jpeg', width: 64, height: 64 });
  expect(split({ bytes: body.subarray(second), ended: '' }).body.length).toBe(10);
});

test('headers are taken away, doubled and replaced', async () => {
  const { head } = await underFault({
    kind: 'none',
    headers: { 'x-cost': null, 'x-remaining-credits': ['9.5', '9.4'], 'x-seed-value': 'NaN', 'x-other': '' },
  });
  expect(head).not.toMatch(/x-cost/);
  expect(head.match(/x-remaining-credits: .*/g)).toEqual(['x-remaining-credits: 9.5', 'x-remaining-credits: 9.4']);
  expect(head).toMatch(/x-seed-value: NaN\r\n/);
});

test('names of headers come in any case, and those that Node adds by itself are replaced', async () => {
  const headers = { 'X-Cost': 'lots', 'Content-Type': null, DATE: 'today', 'Content-Length': '7' };
  for (const effect of [
    { kind: 'none', headers },
    { kind: 'cut', by: 'length', headers },
  ] as const) {
    const { head } = await underFault(effect);
    expect(head.match(/^(?:x-cost|content-type|date|content-length): .*$/gim)?.sort()).toEqual([
      'content-length: 7',
      'date: today',
      'x-cost: lots',
    ]);
  }
});

test.each([
  ['trailer', 'x-checksum', /belongs to the connection/],
  ['Transfer-Encoding', 'chunked', /belongs to the connection/],
  ['connection', null, /belongs to the connection/],
  ['keep-alive', null, /belongs to the connection/],
  ['content-length', null, /always sent/],
  ['date', null, /always sent/],
  ['x a', '1', /its name must be/],
  ['x_a\r\n', '1', /its name must be/],
  ['', '1', /its name must be/],
  ['X-A', 'line\nbreak', /without control characters/],
  ['x-a', ['1', 'nul\u0000'], /without control characters/],
  ['x-a', '語', /Latin-1/],
  ['x-a', [], /\/headers\/x-a/],
  ['x-a', 5, /\/headers\/x-a/],
])('a rule that sets the header %j to %j is refused', async (name, value, message) => {
  const rule = { effect: { kind: 'none', headers: { [name]: value } } } as FaultRule;
  expect(() => parseFaultRules(rule)).toThrow(message);
  // A rule that is handed over in TypeScript is read like any other.
  await expect(startSimulator({ faults: [rule] })).rejects.toThrow(message);
});

test('a header that stands twice in different case is refused', () => {
  expect(() => parseFaultRules({ effect: { kind: 'none', headers: { 'x-a': '1', 'X-A': '2' } } })).toThrow(/twice/);
});

test('any headers that are taken can be sent', async () => {
  const { control, port } = await simulate();
  const value = fc.stringMatching(/^[\x21-\x7e]{0,20}$/);
  const headers = fc.dictionary(
    fc.stringMatching(/^x-[A-Za-z0-9-]{1,20}$/),
    fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 3 }), fc.constant(null)),
    { maxKeys: 5 },
  );
  const named = fc.constantFrom('Content-Length', 'date', 'server', 'expect', 'content-type', 'set-cookie', 'x-cost');
  await fc.assert(
    fc.asyncProperty(headers, named, value, async (some, name, text) => {
      const lower = new Map(
        Object.entries({ ...some, [name]: text }).map((entry) => [entry[0].toLowerCase(), entry[1]]),
      );
      await control.reset();
      await control.fault({ effect: { kind: 'none', headers: Object.fromEntries(lower) } });
      await exchange(port, request);
      expect((await control.ledger()).data).toMatchObject([{ answer: 'whole' }]);
      expect((await control.calls()).data).toMatchObject([{ status: 200 }]);
    }),
    { numRuns: 30 },
  );
});

test('delays let answers overtake each other: before billing with their balances, after it without', async () => {
  const overtake = async (delay: 'delay_ms' | 'delay_after_billing_ms') => {
    const simulator = await simulate({ price: '0.0256' });
    await simulator.control.fault({ match: { prompt: 'slow' }, effect: { kind: 'none', [delay]: 1500 } });
    const order: string[] = [];
    const render = async (prompt: string) => {
      const response = await simulator.render(prompt);
      order.push(prompt);
      return response.headers.get('x-remaining-credits');
    };
    const slow = render('slow');
    await simulator.until(async () => {
      const { billed_count, held_exact } = await simulator.control.state();
      return delay === 'delay_ms' ? held_exact !== '0' : billed_count === 1;
    });
    const balances = [await render('fast'), await slow];
    return { order, balances };
  };
  const order = ['fast', 'slow'];
  expect(await Promise.all([overtake('delay_ms'), overtake('delay_after_billing_ms')])).toEqual([
    { order, balances: ['9.9999', '9.9998'] },
    { order, balances: ['9.9998', '9.9999'] },
  ]);
});

describe('a rule', () => {
  const failing = { kind: 'status', status: 500 } as const;

  test.each<[string, FaultRule['match'], string[]]>([
    ['exact prompts', { prompt: ['a cat', 'a dog'] }, ['a cat']],
    ['a part of the prompt', { prompt_contains: 'cat' }, ['a cat', 'two cats']],
    ['a regular expression', { prompt_matches: '^\\p{Lu}' }, ['A Fox']],
    ['ordinals', { ordinals: [2, 4] }, ['two cats', 'a fish']],
    ['several conditions', { prompt_contains: 'cat', ordinals: [2] }, ['two cats']],
    ['another model', { slug: 'another' }, []],
    ['another endpoint', { endpoint: 'credits' }, []],
  ])('takes calls by %s', async (_name, match = {}, failed) => {
    const { control, render } = await simulate();
    await control.fault({ match, effect: failing });
    const taken: string[] = [];
    for (const prompt of ['a cat', 'two cats', 'A Fox', 'a fish'])
      if ((await render(prompt)).status === 500) taken.push(prompt);
    expect(taken).toEqual(failed);
  });

  test('is used up after its times, over all prompts or for each', async () => {
    const { control, render } = await simulate();
    const statuses = async () => {
      const list: number[] = [];
      for (const prompt of ['a', 'b', 'a', 'b', 'a']) list.push((await render(prompt)).status);
      return list;
    };
    const id = await control.fault({ times: 2, effect: failing });
    expect(await statuses()).toEqual([500, 500, 200, 200, 200]);
    expect(await control.faults()).toMatchObject([{ id, used: 2 }]);
    await control.clearFaults(id);
    await control.fault({ times: 2, per_prompt: true, effect: failing });
    expect(await statuses()).toEqual([500, 500, 500, 500, 200]);
  });

  test('of a probability strikes the same calls in every run, in whatever order they come', async () => {
    const prompts = Array.from({ length: 60 }, (_, i) => `prompt ${i}`);
    const struck = async (order: readonly string[], seed: number) => {
      const { control, render } = await simulate({ seed });
      await control.fault({ match: { probability: 0.3 }, effect: failing });
      const statuses = await Promise.all(order.map(async (prompt) => [(await render(prompt)).status, prompt] as const));
      return statuses.flatMap(([status, prompt]) => (status === 500 ? [prompt] : [])).sort();
    };
    const first = await struck(prompts, 1);
    expect(first.length).toBeGreaterThan(8);
    expect(first.length).toBeLessThan(32);
    expect(await struck(prompts.toReversed(), 1)).toEqual(first);
    expect(await struck(prompts, 2)).not.toEqual(first);
  });

  test('is tried after the ones before it, and replaces one of the same id', async () => {
    const { control, render } = await simulate();
    await control.fault({ id: 'one', effect: { kind: 'status', status: 501 } });
    await control.fault({ id: 'two', effect: { kind: 'status', status: 502 } });
    expect((await render('x')).status).toBe(501);
    await control.fault({ id: 'one', effect: { kind: 'status', status: 503 } });
    expect((await render('x')).status).toBe(502);
  });

  test('without an id gets one that no other has, in force or in the same list', async () => {
    const { control, url } = await simulate({ faults: [{ id: 'fault-2', effect: failing }] });
    const first = [await control.fault({ effect: failing }), await control.fault({ effect: failing })];
    expect(first).toEqual(['fault-1', 'fault-3']);
    const response = await fetch(`${url}/control/faults`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ effect: failing }, { id: 'fault-4', effect: failing }, { effect: failing }]),
    });
    expect(await response.json()).toEqual({ ids: ['fault-5', 'fault-4', 'fault-6'] });
    expect(await control.faults()).toHaveLength(6);
  });

  test('does not see calls that are refused anyway', async () => {
    const { control, render, post } = await simulate();
    await control.fault({ times: 1, effect: failing });
    expect((await post({ prompt: 'x', steps: 1 })).status).toBe(422);
    expect((await post({ ...SMALL, prompt: 'x' }, { 'x-api-key': 'wrong' })).status).toBe(401);
    expect([(await render('x')).status, (await render('x')).status]).toEqual([500, 200]);
  });

  test('can strike the balance too', async () => {
    const { control, url } = await simulate();
    const message = 'No credits found for the user';
    await control.fault({ match: { endpoint: 'credits' }, times: 1, effect: { kind: 'status', status: 404, message } });
    const ask = () => fetch(`${url}/v1/get-user-credits`, { headers: { 'x-api-key': KEY } });
    expect((await fetch(`${url}/v1/get-user-credits`, { headers: { 'x-api-key': 'wrong' } })).status).toBe(401);
    const first = await ask();
    expect([first.status, await first.json()]).toEqual([404, { error: message }]);
    expect((await ask()).status).toBe(200);
  });

  test.each([
    [{ effect: { kind: 'explode' } }, /kind that is one of none, status/],
    [{ effect: { kind: 'cut' } }, /effect, cut, is wrong at its top: it must have required properties by/],
    [{ effect: { kind: 'status', status: 99 } }, /effect, status, is wrong at \/status/],
    [{ effect: { kind: 'none', headers: { 'x-a': 'line\nbreak' } } }, /\/effect\/headers/],
    [{ match: { prompt_matches: '(' }, effect: { kind: 'none' } }, /no regular expression/],
    [{ matches: {}, effect: { kind: 'none' } }, /\/matches: it is not a field that there is/],
    [
      { effect: { kind: 'status', status: 406, reason: 'x' } },
      /\/reason: it must be one of credits, content_type, parameter, spend_limit/,
    ],
    [{ times: 0, effect: { kind: 'none' } }, /\/times/],
    [{}, /effect/],
    [null, /must be object/],
  ])('such as %j is refused with what is wrong', (rule, message) => {
    expect(() => parseFaultRules(rule)).toThrow(message);
  });
});
