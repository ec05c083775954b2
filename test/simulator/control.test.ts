import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { createBoundedLog } from '@renderyard/simulator/bounded-log';
import type { ControlClient } from '@renderyard/simulator/control-client';
import { isLoopbackAddress, isLoopbackHost } from '@renderyard/simulator/loopback';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KEY, MODEL, SMALL, simulate } from './simulate.ts';

describe('the calls', () => {
  test('keep every prompt and body exactly as they were received', async () => {
    const { control, post } = await simulate();
    const strange = ' \u0000 "quotes" <b>&amp;</b> e\u0301 é 👩‍👧 \u2028\ufeff ';
    const bodies = [
      JSON.stringify({ ...SMALL, prompt: strange }),
      `{ "prompt" : "\\u00e9\\ud83d\\ude00\\ud800", "steps":1e1, "sampler":"euler","scheduler":"simple", "base64": false, "width":64,"height":64 }\n`,
      '{"prompt": 5}',
      'no json',
    ];
    for (const body of bodies) await post(body);
    const { data } = await control.calls({ bodies: true });
    expect(data.map(({ body_base64 = '' }) => Buffer.from(body_base64, 'base64').toString())).toEqual(bodies);
    expect(data.map(({ prompt }) => prompt)).toEqual([strange, 'é😀\ud800', null, null]);
    expect((await control.ledger()).data.map(({ prompt }) => prompt)).toEqual([strange, 'é😀\ud800']);
  });

  test('say when they arrived, to the millisecond, and in which order', async () => {
    const { control, render, url } = await simulate();
    const before = Date.now();
    await render('a');
    await fetch(`${url}/v1/get-user-credits`, { headers: { 'x-api-key': KEY } });
    const { data } = await control.calls();
    expect(data).toMatchObject([
      {
        seq: 1,
        endpoint: 'render',
        method: 'POST',
        path: `/v1/${MODEL}`,
        status: 200,
        content_type: 'application/json',
      },
      { seq: 2, endpoint: 'credits', method: 'GET', status: 200, body_bytes: 0 },
    ]);
    for (const { at, ended_at } of data) {
      expect(at).toMatch(/\.\d{3}Z$/);
      expect(Date.parse(at)).toBeGreaterThanOrEqual(before);
      expect(Date.parse(ended_at ?? '')).toBeGreaterThanOrEqual(Date.parse(at));
    }
  });

  test('come in pages, and say how many were dropped', async () => {
    const { control, render } = await simulate({ logEntries: 5 });
    for (let i = 1; i <= 8; i++) await render(`prompt ${i}`);
    const first = await control.calls({ limit: 2 });
    expect(first).toMatchObject({ total: 8, dropped: 3, next: 5, data: [{ seq: 4 }, { seq: 5 }] });
    expect(await control.calls({ after: 5, limit: 3 })).toMatchObject({
      next: null,
      data: [{ seq: 6 }, { seq: 7 }, { seq: 8 }],
    });
    expect((await control.allCalls()).map(({ prompt }) => prompt)).toEqual([4, 5, 6, 7, 8].map((i) => `prompt ${i}`));
    const ledger = await control.ledger({ after: 7 });
    expect(ledger).toMatchObject({ billed_count: 8, dropped: 3, next: null, data: [{ seq: 8, prompt: 'prompt 8' }] });
  });
});

test('a page of large entries ends after some megabytes, and the ones that follow have the rest', async () => {
  const { control, render, url } = await simulate();
  const prompts = Array.from({ length: 12 }, (_, i) => `${i} ${'x'.repeat(1_000_000)}`);
  for (const prompt of prompts) expect((await render(prompt)).status).toBe(200);
  for (const path of ['ledger?limit=10000', 'calls?limit=10000&bodies=true']) {
    const text = await (await fetch(`${url}/control/${path}`)).text();
    expect(text.length).toBeLessThan(9 * 1024 * 1024);
    expect(JSON.parse(text).data.length).toBeGreaterThan(1);
  }
  expect((await control.wholeLedger()).map(({ prompt }) => prompt)).toEqual(prompts);
  expect((await control.allCalls()).map(({ prompt }) => prompt)).toEqual(prompts);
});

test('of long headers and paths the calls keep the beginning, and what they keep counts', async () => {
  const { control, url } = await simulate({ logBytes: 3000 });
  const type = `text/${'x'.repeat(7000)}`;
  for (let i = 0; i < 6; i++) await fetch(`${url}/${'y'.repeat(5000)}?z`, { headers: { 'content-type': type } });
  const { data, dropped } = await control.calls();
  expect(data.at(-1)).toMatchObject({ path: `/${'y'.repeat(499)}`, content_type: type.slice(0, 200) });
  // 600 bytes, and the 700 that the caller chose, for each.
  expect([data.length, dropped]).toEqual([2, 4]);
});

test('a bounded log keeps the newest entries that fit in both bounds, also when they grow later', () => {
  const entries = fc.array(
    fc.record({ size: fc.integer({ min: 1, max: 50 }), grows: fc.integer({ min: 0, max: 50 }) }),
  );
  fc.assert(
    fc.property(entries, fc.integer({ min: 1, max: 20 }), (list, most) => {
      interface Entry {
        readonly seq: number;
        size: number;
      }
      const log = createBoundedLog<Entry>({ entries: most, bytes: 200, sizeOf: ({ size }) => size });
      let kept: Entry[] = [];
      const trim = () => {
        const total = () => kept.reduce((sum, { size }) => sum + size, 0);
        while (kept.length > 1 && (kept.length > most || total() > 200)) kept = kept.slice(1);
      };
      // An entry grows when two more have come: by then it may be dropped.
      const waiting: { readonly entry: Entry; readonly grows: number }[] = [];
      for (const { size, grows } of list) {
        const entry = log.push((seq) => ({ seq, size }));
        kept.push(entry);
        trim();
        waiting.push({ entry, grows });
        const due = waiting.length > 2 ? waiting.shift() : undefined;
        if (due === undefined) continue;
        due.entry.size += due.grows;
        log.grew(due.entry.seq, due.grows);
        trim();
      }
      expect(log.page(0, 1000)).toEqual(kept);
      expect([log.last(), log.dropped()]).toEqual([list.length, list.length - kept.length]);
      expect(kept.map(({ seq }) => seq)).toEqual(list.map((_, i) => i + 1).slice(log.dropped()));
      expect(log.page(log.dropped() + 1, 1)).toEqual(kept.slice(1, 2));
    }),
  );
});

describe('while it runs', () => {
  test('keys stop working and work again', async () => {
    const { control, render, url } = await simulate();
    await control.keys({ refuse: [KEY] });
    expect((await render('x')).status).toBe(401);
    expect((await fetch(`${url}/v1/get-user-credits`, { headers: { 'x-api-key': KEY } })).status).toBe(401);
    await control.keys({ restore: [KEY] });
    expect((await render('x')).status).toBe(200);
    expect(await control.keys({ refuse: ['*'] })).toEqual({ accepted: 'any', refused: 'all' });
    expect((await render('x')).status).toBe(401);
    await control.keys({ restore: ['*'], accept: ['SG_another'] });
    expect((await render('x')).status).toBe(401);
    await control.keys({ accept: 'any' });
    expect((await render('x')).status).toBe(200);
  });

  test('a model is retired, restored, removed and added', async () => {
    const { control, render } = await simulate();
    const steps: readonly [Parameters<ControlClient['models']>[0], number][] = [
      [{ retire: [MODEL] }, 410],
      [{ restore: [MODEL] }, 200],
      [{ remove: [MODEL] }, 404],
      [{ add: [MODEL] }, 200],
    ];
    for (const [change, status] of steps) {
      await control.models(change);
      expect((await render('x')).status).toBe(status);
    }
  });

  test('the balance is set, topped up and spent', async () => {
    const { control } = await simulate();
    expect(await control.setBalance('0.0000000003')).toMatchObject({ balance_exact: '0.0000000003' });
    expect(await control.topUp(1.5)).toMatchObject({ balance_exact: '1.5000000003', balance: 1.5000000003 });
    expect(await control.spend(0.5)).toMatchObject({ balance_exact: '1.0000000003', spent: 0.5 });
    expect(await control.spend(5)).toMatchObject({ balance_exact: '0', spent_exact: '1.0000000003' });
    expect(await control.state()).toMatchObject({ spent_by_others_exact: '1.5000000003' });
  });

  test('a reset puts everything back and cuts the calls in flight, which are not billed', async () => {
    const simulator = await simulate({ latencyMs: 60_000, balance: 3 });
    const { control } = simulator;
    const cut = simulator.render('x').then(
      () => 'answered',
      () => 'cut',
    );
    await simulator.until(async () => (await control.state()).held_exact !== '0');
    await control.setBalance(1);
    await control.keys({ refuse: ['*'] });
    await control.models({ retire: [MODEL] });
    await control.fault({ effect: { kind: 'hang' } });
    const state = await control.reset();
    expect(await cut).toBe('cut');
    expect(state).toMatchObject({
      balance_exact: '3',
      held_exact: '0',
      billed_count: 0,
      calls: 0,
      faults: 0,
      in_flight: 0,
      keys: { accepted: 'any', refused: 0 },
      models: { known: [MODEL], retired: [] },
    });
  });
});

test('a picture that was billed is drawn again, byte for byte', async () => {
  const { control, render } = await simulate();
  const image = await (await render('x', { seed: -1, image_format: 'webp' })).bytes();
  const [entry] = (await control.ledger()).data;
  expect(await control.image(entry?.request_id ?? '')).toEqual(image);
  await expect(control.image('no-such-render')).rejects.toMatchObject({ name: 'ControlError', status: 404 });
});

test.each([
  ['balance', {}],
  ['balance', { set: '1e3' }],
  ['balance', { set: 1, give: 2 }],
  ['balance', { spend: -1 }],
  ['keys', { refuse: 'SG_1' }],
  ['models', { retire: [5] }],
  ['faults', { effect: { kind: 'none', times: 5 } }],
])('POST /control/%s with %j is refused with 400 and what is wrong', async (path, body) => {
  const { url } = await simulate();
  const response = await fetch(`${url}/control/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect([response.status, await response.json()]).toEqual([400, { error: expect.stringMatching(/wrong at/) }]);
});

test('pages are refused outside of their ranges', async () => {
  const { url } = await simulate();
  for (const query of ['limit=10001', 'limit=0', 'limit=x', 'after=-1'])
    expect((await fetch(`${url}/control/ledger?${query}`)).status).toBe(400);
});

describe('the control endpoints', () => {
  const statusFor = (url: string, path: string, host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request(`${url}${path}`, { headers: { host } }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      })
        .on('error', reject)
        .end();
    });

  test('answer on loopback hosts only; the upstream answers on any', async () => {
    const { url } = await simulate();
    expect(await statusFor(url, '/control/state', 'localhost:8090')).toBe(200);
    for (const path of ['/control/state', '/control/ledger', '/'])
      expect(await statusFor(url, path, 'simulator.example:8090')).toBe(403);
    expect(await statusFor(url, '/inference-model-information/list', 'simulator.example:8090')).toBe(200);
  });

  test.each([
    ['localhost', true],
    ['LOCALHOST:80', true],
    ['127.0.0.1:8090', true],
    ['127.9.9.9', true],
    ['[::1]:8090', true],
    ['app.localhost', true],
    ['localhost.example', false],
    ['127.0.0.1.example', false],
    ['example:80', false],
    ['10.0.0.1', false],
    ['', false],
    [undefined, false],
  ])('take %s for loopback: %s', (host, expected) => {
    expect(isLoopbackHost(host)).toBe(expected);
  });

  test('take nothing but JSON, which no page of another site can send unasked', async () => {
    const { control, url } = await simulate();
    for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
      const response = await fetch(`${url}/control/balance`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: '{"set":0}',
      });
      expect(response.status).toBe(415);
    }
    expect((await control.state()).balance_exact).toBe('10');
  });

  const asked = (url: string, method: string, headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      request(url, { method, headers }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      })
        .on('error', reject)
        .end();
    });

  test.each([
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ origin: 'https://example.org' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'http://127.0.0.1:1' }, 403],
    [{ 'sec-fetch-site': 'same-origin', origin: 'here' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
    [{}, 200],
  ])('with %j answer %i', async (headers: Record<string, string>, status) => {
    const { control, url } = await simulate();
    await control.setBalance(5);
    const sent = headers.origin === 'here' ? { ...headers, origin: url } : headers;
    expect(await asked(`${url}/control/state`, 'GET', sent)).toBe(status);
    expect(await asked(`${url}/control/faults`, 'DELETE', sent)).toBe(status);
    expect(await asked(`${url}/control/reset`, 'POST', sent)).toBe(status);
    expect((await control.state()).balance_exact).toBe(status === 200 ? '10' : '5');
    // A link from anywhere may lead to the page, which changes nothing.
    expect(await asked(url, 'GET', sent)).toBe(200);
  });

  test.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['192.0.2.1', false],
    ['::ffff:192.0.2.1', false],
    ['::ffff:1.127.0.0', false],
    ['2001:db8::1', false],
    [undefined, false],
  ])('take the address %s for loopback: %s', (address, expected) => {
    expect(isLoopbackAddress(address)).toBe(expected);
  });

  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  test.skipIf(outside === undefined)('answer nobody who comes over a network, whatever host is named', async () => {
    const { port } = await simulate({ host: '0.0.0.0' });
    const url = `http://${outside}:${port}`;
    for (const path of ['/control/state', '/'])
      expect(await asked(`${url}${path}`, 'GET', { host: 'localhost' })).toBe(403);
    expect(await asked(`${url}/inference-model-information/list`, 'GET', {})).toBe(200);
  });

  test('are not there when they are turned off', async () => {
    const { url, render } = await simulate({ control: false });
    expect((await fetch(`${url}/control/state`)).status).toBe(404);
    expect((await fetch(`${url}/`)).status).toBe(404);
    expect((await render('x')).status).toBe(200);
  });
});

test('the page is there, loads nothing from elsewhere, and does not count as a call', async () => {
  const { control, url } = await simulate();
  const response = await fetch(url);
  expect(response.headers.get('content-type')).toMatch(/^text\/html/);
  expect(response.headers.get('content-security-policy')).toMatch(/default-src 'none'/);
  expect(await response.text()).not.toMatch(/https?:\/\//);
  expect((await control.state()).calls).toBe(0);
});
