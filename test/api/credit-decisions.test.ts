import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { set } from '@renderyard/api/credits/credit-changes';
import { decideCredits } from '@renderyard/api/credits/decide-credits';
import { createTurns } from '@renderyard/api/turns';
import { systemClock } from '@renderyard/shared/clock';
import { createCreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import { createLogger } from '@renderyard/shared/logger';
import { openStore } from '@renderyard/shared/store/open-store';
import { describe, expect, test } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { type Api, openApi, sharedApi } from './running-api.ts';

const KEYS = { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' };
const ann = { authorization: 'Bearer secret-of-ann-1234' };
const bob = { authorization: 'Bearer secret-of-bob-1234' };

const patch = (api: Api, body: unknown, headers: Record<string, string> = ann) =>
  api.call('PATCH', '/v1/credits', {
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const changes = async (api: Api) => (await api.get('/v1/credits/changes', ann)).json.data;
const audits = (api: Api) => api.logs.flatMap(({ level, audit }) => (audit === undefined ? [] : [{ level, ...audit }]));
const objects = (api: Api) => readdir(join(api.dataDir, 'store', 'credits', 'decisions')).catch(() => []);

/** Resolves when the API answers again, with this. */
const untilKnown = (api: Api, books: object) =>
  expect
    .poll(() => api.get('/v1/credits', ann), { timeout: 15_000, interval: 100 })
    .toMatchObject({ status: 200, json: books });

/** Takes the store's folder away, as a disk that is unmounted. */
async function unmount(api: Api): Promise<() => Promise<void>> {
  const folder = join(api.dataDir, 'store');
  await rename(folder, `${folder}-away`);
  return () => rename(`${folder}-away`, folder);
}

describe('a PATCH', () => {
  test('sets limits and budgets in the store and in Redis, and tells who changed what', async () => {
    await using api = await openApi({ env: { ...KEYS, CREDIT_FLOOR: '1', CREDIT_LOW: '2' } });
    const body = { floor: 2.5, resume: 2, budgets: { bob: { day: 5, total: 100 }, ann: { day: 0 } } };
    const answer = await patch(api, body);
    expect(answer).toMatchObject({
      status: 200,
      json: {
        ...{ floor: 2.5, low: 2, resume: 2 },
        limits: {
          floor: { value: 2.5, setting: 1, by_hand: true },
          low: { value: 2, setting: 2, by_hand: false },
          resume: { value: 2, setting: 2, by_hand: false },
        },
        keys: [
          { name: 'ann', day: { budget: 0, left: 0 }, total: { budget: null, left: null } },
          { name: 'bob', day: { budget: 5, left: 5, spent: 0 }, total: { budget: 100, left: 100 } },
        ],
      },
    });
    const told = [
      { what: 'floor', from: 1, to: 2.5 },
      { what: 'budgets.bob.day', from: null, to: 5 },
      { what: 'budgets.bob.total', from: null, to: 100 },
      { what: 'budgets.ann.day', from: null, to: 0 },
    ];
    expect(audits(api)).toEqual([{ level: 30, by: 'ann', action: 'set', changes: told }]);

    expect((await patch(api, { floor: null, budgets: { bob: { day: null }, ann: null } }, bob)).json).toMatchObject({
      limits: { floor: { value: 1, setting: 1, by_hand: false } },
      keys: [
        { name: 'ann', day: { budget: null } },
        { name: 'bob', day: { budget: null }, total: { budget: 100 } },
      ],
    });
    const at = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(await changes(api)).toEqual([
      {
        ...{ object: 'credit_change', seq: 2, at, by: 'bob', action: 'set' },
        changes: [
          { what: 'floor', from: 2.5, to: 1 },
          { what: 'budgets.bob.day', from: 5, to: null },
          { what: 'budgets.ann.day', from: 0, to: null },
        ],
      },
      { object: 'credit_change', seq: 1, at, by: 'ann', action: 'set', changes: told },
    ]);
    expect(await objects(api)).toHaveLength(2);
  });

  test('that changes nothing writes nothing', async () => {
    await using api = await openApi({ env: { ...KEYS, CREDIT_FLOOR: '1' } });
    for (const body of [{}, { floor: 1, low: null }, { budgets: {} }, { budgets: { ann: null, bob: { day: null } } }])
      expect((await patch(api, body)).status).toBe(200);
    expect(await objects(api)).toEqual([]);
    const same = { floor: 3, budgets: { ann: { total: 0.000000001 } } };
    for (let i = 0; i < 3; i++)
      expect((await patch(api, same)).json.keys[0].total).toMatchObject({ budget: 0.000000001 });
    expect(await objects(api)).toHaveLength(1);
    expect(audits(api)).toHaveLength(1);
  });

  test('of many at once each sees what the one before it decided', async () => {
    await using api = await openApi({ env: KEYS });
    const bodies = [
      { floor: 1 },
      { low: 4 },
      { resume: 6 },
      { budgets: { ann: { day: 1 } } },
      { budgets: { bob: { day: 2 } } },
    ];
    const answers = await Promise.all(bodies.map((body, i) => patch(api, body, i % 2 === 0 ? ann : bob)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const { json } = await api.get('/v1/credits', ann);
    expect(json).toMatchObject({ floor: 1, low: 4, resume: 6, keys: [{ day: { budget: 1 } }, { day: { budget: 2 } }] });
    expect((await changes(api)).map(({ seq }: { seq: number }) => seq)).toEqual([5, 4, 3, 2, 1]);
    expect(audits(api)).toHaveLength(5);
  });

  test('of two the later one is made of the earlier one, wherever that comes between', async () => {
    await using api = await openApi({ env: KEYS });
    const store = openStore({ ...api.config, publicUrl: api.url, signingKey: new Uint8Array(32) });
    const decisions = createCreditDecisions({ store });
    const others = [{ low: 4 }, { resume: 6 }, { budgets: { bob: { day: 2 } } }];
    // Somebody else is quicker between each two steps of ours.
    const other = async () => {
      const body = others.shift();
      if (body !== undefined) await patch(api, body, bob);
    };
    const deps = {
      ledger: {
        ...api.ledger,
        snapshot: async (now: number) => {
          const state = await api.ledger.snapshot(now);
          await other();
          return state;
        },
      },
      decisions: {
        ...decisions,
        last: async () => {
          const last = await decisions.last();
          await other();
          return last;
        },
      },
      ...{
        feedQueue: async () => undefined,
        config: api.config,
        turns: createTurns({ clock: systemClock }),
        clock: systemClock,
        logger: createLogger({ service: 'test', level: 'fatal' }),
      },
    };
    await decideCredits(deps, 'ann', set({ limits: { floor: 1_000_000_000 }, budgets: new Map() }));
    await store.close();
    expect((await api.get('/v1/credits', ann)).json).toMatchObject({
      ...{ floor: 1, low: 4, resume: 6 },
      keys: [{ name: 'ann' }, { name: 'bob', day: { budget: 2 } }],
    });
    expect((await changes(api)).map(({ seq }: { seq: number }) => seq)).toEqual([4, 3, 2, 1]);
  });

  test('is decided beside 19 others', async () => {
    await using api = await openApi({ env: KEYS });
    const bodies = Array.from({ length: 20 }, (_, i) => ({ [i % 2 === 0 ? 'floor' : 'low']: i + 1 }));
    const answers = await Promise.all(bodies.map((body) => patch(api, body)));
    expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 200));
    const { data } = (await api.get('/v1/credits/changes?limit=100', ann)).json;
    expect(data).toHaveLength(20);
    const { json } = await api.get('/v1/credits', ann);
    for (const what of ['floor', 'low']) {
      const last = data.find(({ changes }: { changes: { what: string }[] }) => changes[0]?.what === what);
      expect(json[what]).toBe(last.changes[0].to);
    }
  });

  test('that sets one value anew, twice at once, ends with one of the two, in the store as in Redis', async () => {
    await using api = await openApi({ env: KEYS });
    await Promise.all(Array.from({ length: 6 }, (_, i) => patch(api, { floor: i + 1 })));
    const [last] = await changes(api);
    expect((await api.get('/v1/credits', ann)).json.floor).toBe(last.changes[0].to);
    expect(last.seq).toBe(6);
  });
});

describe('what is wrong with a PATCH', () => {
  const shared = sharedApi({ env: KEYS });
  test.each([
    [{ floor: -1 }, '/floor', 'out_of_range'],
    [{ low: 1_000_000 }, '/low', 'out_of_range'],
    [{ resume: 999_999.5 }, '/resume', 'out_of_range'],
    [{ floor: '1' }, '/floor', 'wrong_type'],
    [{ floor: 0.1234567891 }, '/floor', 'not_exact'],
    [{ floor: 1e-10 }, '/floor', 'not_exact'],
    [{ ceiling: 1 }, '/ceiling', 'unknown_field'],
    [{ budgets: null }, '/budgets', 'wrong_type'],
    [{ budgets: { carol: { day: 1 } } }, '/budgets/carol', 'unknown_field'],
    [{ budgets: { constructor: { day: 1 } } }, '/budgets/constructor', 'unknown_field'],
    [{ budgets: { ann: 5 } }, '/budgets/ann', 'wrong_type'],
    [{ budgets: { ann: { week: 5 } } }, '/budgets/ann/week', 'unknown_field'],
    [{ budgets: { ann: { day: true } } }, '/budgets/ann/day', 'wrong_type'],
    [[], '', 'wrong_type'],
  ])('%j is refused', async (body, pointer, code) => {
    const { status, json } = await patch(shared(), body);
    expect([status, json.code]).toEqual([400, 'invalid_request']);
    expect(json.errors).toEqual([{ pointer, code, detail: expect.any(String) }]);
  });

  test('is told all at once, in words that say what would be right', async () => {
    const api = shared();
    const body = { floor: -1, low: 'x', budgets: { carol: null, ann: { day: -2 } }, ceiling: 3 };
    const { json } = await patch(api, body);
    const detailOf = (pointer: string) =>
      json.errors.find((each: { pointer: string }) => each.pointer === pointer)?.detail;
    expect(json.errors).toHaveLength(5);
    const range = 'a number of credits from 0 to 999,999 with at most 9 decimals, such as 2.5';
    expect(detailOf('/floor')).toBe(`floor must be ${range}, or null for the setting CREDIT_FLOOR.`);
    expect(detailOf('/budgets/ann/day')).toBe(`budgets.ann.day must be ${range}, or null for no budget.`);
    expect(detailOf('/budgets/carol')).toBe(
      'There is no API key named "carol". There are ann, bob (names of RENDERYARD_API_KEYS).',
    );
    expect(detailOf('/ceiling')).toBe('There is no field "ceiling"; known here: floor, low, resume, budgets.');
    const none = await api.call('PATCH', '/v1/credits', { headers: ann });
    expect(none).toMatchObject({ status: 400, json: { errors: [{ pointer: '', code: 'required' }] } });
    expect(await objects(api)).toEqual([]);
  });

  test('where there are no keys, the only account is default', async () => {
    await using api = await openApi();
    expect((await patch(api, { budgets: { acme: { day: 1 } } }, {})).json.detail).toContain('The only one is default.');
    const { json } = await patch(api, { budgets: { default: { day: 1 } } }, {});
    expect(json.keys).toMatchObject([{ name: 'default', day: { budget: 1 } }]);
  });
});

test('a limit set by hand holds until its setting is another', async () => {
  await using api = await openApi({ env: { ...KEYS, CREDIT_FLOOR: '1' } });
  const settings = { floor: 1_000_000_000, low: 1_000_000_000, resume: 1_000_000_000 };
  await api.ledger.meetUpstream('here', settings);
  await patch(api, { floor: 3, low: 2 });
  await api.ledger.meetUpstream('here', { ...settings, floor: 2_000_000_000 });
  const { json } = await api.get('/v1/credits', ann);
  expect(json.limits).toMatchObject({
    floor: { value: 2, setting: 2, by_hand: false },
    low: { value: 2, setting: 1, by_hand: true },
  });
  // What is told is what held, and the new decision knows the new setting.
  await patch(api, { floor: 3 });
  const [last] = await changes(api);
  expect(last.changes).toEqual([{ what: 'floor', from: 2, to: 3 }]);
  expect((await api.get('/v1/credits', ann)).json.limits.floor).toEqual({ value: 3, setting: 2, by_hand: true });
});

test('the budget of a key that is configured no more can be taken away, and is told as long as it is there', async () => {
  await using api = await openApi({ env: KEYS });
  const store = openStore({ ...api.config, publicUrl: api.url, signingKey: new Uint8Array(32) });
  const decision = {
    seq: 1,
    at: 1,
    by: 'ann',
    action: 'set' as const,
    changes: [],
    limits: {},
    budgets: { old: { day: 1_000_000_000 } },
  };
  await createCreditDecisions({ store }).write(decision);
  await store.close();
  await api.ledger.applyDecision(decision);
  expect((await api.get('/v1/credits', ann)).json.keys.at(-1)).toMatchObject({ name: 'old', day: { budget: 1 } });
  const { status, json } = await patch(api, { budgets: { old: null } });
  expect([status, json.keys.map(({ name }: { name: string }) => name)]).toEqual([200, ['ann', 'bob']]);
  expect((await patch(api, { budgets: { old: { day: 1 } } })).status).toBe(400);
});

describe('hold and resume', () => {
  test('are decisions with an audit line each, and say anew why work is held', async () => {
    await using api = await openApi({ env: KEYS });
    await api.post('/v1/credits/hold', { detail: 'Maintenance.' }, ann);
    await api.post('/v1/credits/hold', { detail: 'Maintenance.' }, bob);
    const again = await api.post('/v1/credits/hold', { detail: 'The invoice.' }, bob);
    expect(again.json.holds).toMatchObject([{ reason: 'operator', detail: 'The invoice.', model: null, key: null }]);
    await patch(api, { floor: 1 });
    expect((await api.get('/v1/credits', ann)).json.holds).toHaveLength(1);
    expect((await api.post('/v1/credits/resume', {}, ann)).json).toMatchObject({ holds: [], floor: 1 });
    await api.post('/v1/credits/resume', {}, ann);
    const told = (by: string, action: string, from: string | null, to: string | null) => ({
      ...{ level: 30, by, action },
      changes: [{ what: 'hold', from, to }],
    });
    expect(audits(api).filter(({ action }) => action !== 'set')).toEqual([
      told('ann', 'hold', null, 'Maintenance.'),
      told('bob', 'hold', 'Maintenance.', 'The invoice.'),
      told('ann', 'resume', 'The invoice.', null),
    ]);
    expect((await changes(api)).map(({ action }: { action: string }) => action)).toEqual([
      'resume',
      'set',
      'hold',
      'hold',
    ]);
  });

  test('a resume tells which other holds it has tried, and they stay until their cause is gone', async () => {
    await using api = await openApi({ env: KEYS });
    await api.ledger.setHold('credits', 'No credits.');
    await api.ledger.setHold('upstream', 'It fails.', { trialMs: 60_000 });
    const { json } = await api.post('/v1/credits/resume', {}, ann);
    expect(json.holds.map(({ reason }: { reason: string }) => reason).sort()).toEqual(['credits', 'upstream']);
    const [last] = await changes(api);
    expect(last).toMatchObject({ action: 'resume', changes: [{ what: 'tried', from: null }] });
    expect(last.changes[0].to.sort()).toEqual(['credits', 'upstream']);
    expect(await api.ledger.takeAsk()).toBe(true);
  });

  test('a hold of another upstream is not ended by a PATCH, and is by a resume', async () => {
    await using api = await openApi({ env: KEYS });
    const settings = { floor: 0, low: 0, resume: 0 };
    await api.ledger.meetUpstream('the old one', settings);
    await api.submit(undefined, ann);
    await api.ledger.meetUpstream('the new one', settings);
    expect((await patch(api, { low: 3 })).json.holds).toMatchObject([{ reason: 'operator' }]);
    expect((await api.post('/v1/credits/resume', {}, ann)).json.holds).toEqual([]);
  });

  test('under one Idempotency-Key a hold and a resume happen once, and are answered alike', async () => {
    await using api = await openApi({ env: KEYS });
    const send = (action: string, key: string, body: object) =>
      api.post(`/v1/credits/${action}`, body, { ...ann, 'idempotency-key': key });
    const held = await send('hold', 'hold-1', { detail: 'Stop.' });
    const { id } = await api.submit(undefined, ann);
    const resumed = await send('resume', 'resume-1', { backlog: 'drop' });
    expect(resumed.json).toMatchObject({ holds: [], dropped: 1, dropped_batches: 0 });
    const later = await api.submit(undefined, ann);
    for (const [action, key, body, first] of [
      ['hold', 'hold-1', { detail: 'Stop.' }, held],
      ['resume', 'resume-1', { backlog: 'drop' }, resumed],
    ] as const) {
      const again = await send(action, key, body);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect(again.json).toEqual(first.json);
    }
    expect((await send('hold', 'hold-1', { detail: 'Other.' })).json.code).toBe('idempotency_key_reused');
    expect((await api.get('/v1/credits', ann)).json.holds).toEqual([]);
    expect((await api.get(`/v1/jobs/${id}`, ann)).json.status).toBe('canceled');
    expect((await api.get(`/v1/jobs/${later.id}`, ann)).json.status).toBe('queued');
    expect((await changes(api)).map(({ changes: each }: { changes: object[] }) => each)).toEqual([
      [
        { what: 'hold', from: 'Stop.', to: null },
        { what: 'backlog', from: null, to: { jobs: 1, batches: 0 } },
      ],
      [{ what: 'hold', from: null, to: 'Stop.' }],
    ]);
  });
});

describe('while the store is away', () => {
  test('PATCH and resume are refused with nothing changed, and a hold is in force and says that it could not be noted', async () => {
    await using api = await openApi({ env: KEYS });
    await patch(api, { floor: 2 });
    const job = await api.submit(undefined, ann);
    const mount = await unmount(api);
    const before = audits(api).length;
    const refused = await patch(api, { floor: 5 });
    expect([refused.status, refused.json.code]).toEqual([503, 'store_unavailable']);
    const held = await api.post('/v1/credits/hold', { detail: 'Stop.' }, ann);
    expect([held.status, held.json.code]).toEqual([503, 'store_unavailable']);
    expect(held.json.detail).toMatch(/^All work is held from now on, as you asked, but that could not be noted/);
    expect(audits(api).slice(before)).toMatchObject([
      { by: 'ann', action: 'hold', changes: [{ what: 'hold', from: null, to: 'Stop.' }] },
    ]);
    for (const backlog of ['run', 'drop'])
      expect((await api.post('/v1/credits/resume', { backlog }, ann)).json.code).toBe('store_unavailable');
    expect((await api.get('/v1/credits', ann)).json).toMatchObject({ floor: 2, holds: [{ detail: 'Stop.' }] });
    expect((await api.get(`/v1/jobs/${job.id}`, ann)).json.status).toBe('queued');
    await mount();

    // A PATCH decides nothing about it; asked for again it is noted.
    expect((await patch(api, { floor: 3 })).json).toMatchObject({ floor: 3, holds: [{ detail: 'Stop.' }] });
    expect((await api.post('/v1/credits/hold', { detail: 'Stop.' }, ann)).status).toBe(200);
    const [last] = await changes(api);
    expect(last).toMatchObject({ seq: 3, action: 'hold' });
    expect((await api.post('/v1/credits/resume', {}, ann)).json.holds).toEqual([]);
  });
});

describe('a decision that Redis could not be told', () => {
  test('says that it is decided, and is in force once Redis is rebuilt', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url, env: KEYS });
    await api.redis.flushall();
    const { status, json } = await patch(api, { floor: 7 });
    expect([status, json.code]).toEqual([503, 'redis_replaced']);
    expect(json.detail).toMatch(/^It is decided, and kept in the store\. Redis was emptied or replaced/);
    expect(audits(api)).toMatchObject([{ action: 'set', changes: [{ what: 'floor', from: 0, to: 7 }] }]);
    await untilKnown(api, { floor: 7 });
    expect(await objects(api)).toHaveLength(1);
  });

  test('is not made where Redis has lost those before it, which come back with the rebuild', async () => {
    await using redis = await startRedisInstance();
    await using api = await openApi({ redisUrl: redis.url, env: KEYS });
    await patch(api, { low: 4, budgets: { bob: { total: 9 } } });
    await api.post('/v1/credits/hold', { detail: 'Stop.' }, ann);
    const since = (await api.get('/v1/credits', ann)).json.holds[0].since;
    await api.redis.flushall();
    const { status, json } = await patch(api, { floor: 7 });
    expect([status, json.code, json.detail.includes('Nothing was changed')]).toEqual([503, 'redis_replaced', true]);
    await untilKnown(api, { floor: 0, low: 4, holds: [{ reason: 'operator', detail: 'Stop.', since }] });
    expect((await changes(api)).map(({ action }: { action: string }) => action)).toEqual(['hold', 'set']);
    // What is decided next is not taken for an older decision.
    expect((await patch(api, { floor: 7 })).json).toMatchObject({
      ...{ floor: 7, low: 4, holds: [{ detail: 'Stop.' }] },
      keys: [{ name: 'ann' }, { name: 'bob', total: { budget: 9 } }],
    });
    expect((await api.post('/v1/credits/resume', {}, ann)).json.holds).toEqual([]);
  });

  test('comes into force with the next one, and with one that changes nothing', async () => {
    await using api = await openApi({ env: KEYS });
    await patch(api, { floor: 1 });
    const store = openStore({ ...api.config, publicUrl: api.url, signingKey: new Uint8Array(32) });
    const decisions = createCreditDecisions({ store });
    const last = await decisions.last();
    if (last === undefined) throw new Error('no decision');
    const hold = { since: 1, detail: 'Decided elsewhere.' };
    await decisions.write({ ...last, seq: 2, action: 'hold', hold });
    await store.close();
    expect((await api.get('/v1/credits', ann)).json.holds).toEqual([]);
    expect((await patch(api, { floor: 1 })).json.holds).toMatchObject([{ detail: 'Decided elsewhere.' }]);
    expect(await objects(api)).toHaveLength(2);
    expect((await patch(api, { floor: 2 })).json).toMatchObject({ floor: 2, holds: [{ reason: 'operator' }] });
  });
});

test('the list of decisions comes in pages', async () => {
  await using api = await openApi({ env: KEYS });
  for (let i = 1; i <= 5; i++) await patch(api, { floor: i });
  const pages: number[][] = [];
  let next: string | null = '';
  while (next !== null) {
    const { json } = await api.get(`/v1/credits/changes?limit=2${next && `&after=${next}`}`, ann);
    pages.push(json.data.map(({ seq }: { seq: number }) => seq));
    next = json.next;
  }
  expect(pages).toEqual([[5, 4], [3, 2], [1]]);
  expect((await api.get('/v1/credits/changes?after=x', ann)).json.code).toBe('invalid_request');
});
