import { rowJobId } from '@renderyard/shared/batch/row';
import { nanocredits } from '@renderyard/shared/credits/amount';
import { expect, test, vi } from 'vitest';
import { openBatchApi } from '../batch-api/uploading.ts';
import { type Api, openApi } from './running-api.ts';

const KEYS = { RENDERYARD_API_KEYS: 'ann:secret-of-ann-1234,bob:secret-of-bob-1234' };
const ann = { authorization: 'Bearer secret-of-ann-1234' };
const bob = { authorization: 'Bearer secret-of-bob-1234' };
const HOUR = 3_600_000;
const hourOf = (ms: number) => Math.floor(ms / HOUR);

/** Renders a queued job for so many credits. */
async function spend(api: Api, job: string, credits: number, row?: { part: number }) {
  const call = await api.startCall(job);
  const settlement = { kind: 'spent' as const, cost: nanocredits(credits) };
  const end = { job, call: { id: call, settlement }, status: 'failed' as const, ...(row && { row }) };
  await api.jobs.record({ ...end, error: { code: 'bad_image', detail: 'The image is cut off.' } }, 1000);
}

/** Books an hour as a rebuild brings it back. */
const restore = (api: Api, hour: number, account: string, credits: number, batch = '') =>
  api.ledger.restoreBooks({
    hours: { [hour]: { [`${account}|${batch}|c`]: String(nanocredits(credits)), [`${account}|${batch}|n`]: '2' } },
    keys: {},
  });

test('what was spent is told by hour, key and batch, and batches only to whose they are', async () => {
  await using api = await openBatchApi({ env: KEYS });
  const { id } = await api.make('prompt\nA fox\n', { headers: ann });
  await vi.waitFor(async () => expect(await api.jobs.get(rowJobId(id, 1))).toBeDefined());
  await spend(api, rowJobId(id, 1), 0.5, { part: 0 });
  await spend(api, (await api.submit(undefined, bob)).id, 0.25);
  const now = Date.now();
  await restore(api, hourOf(now) - 5, 'bob', 2, 'bat_of_bob');
  const read = async (query: string, headers = ann) => (await api.get(`/v1/credits/spend${query}`, headers)).json;
  const byHour = await read('');
  expect(byHour).toMatchObject({ object: 'spend', by: 'hour', total: { credits: 2.75 } });
  expect(byHour.rows.map(({ credits }: { credits: number }) => credits)).toEqual([2, 0.75]);
  expect(byHour.rows[0].hour).toBe(new Date((hourOf(now) - 5) * HOUR).toISOString());
  expect((await read('?by=key')).rows).toMatchObject([
    { key: 'bob', credits: 2.25 },
    { key: 'ann', credits: 0.5 },
  ]);
  expect((await read('?by=batch')).rows).toMatchObject([
    { key: 'bob', batch_id: null, credits: 2.25 },
    { key: 'ann', batch_id: id, credits: 0.5 },
  ]);
  expect((await read('?by=batch', bob)).rows).toMatchObject([
    { key: 'bob', batch_id: 'bat_of_bob', credits: 2 },
    { key: 'ann', batch_id: null, credits: 0.5 },
    { key: 'bob', batch_id: null, credits: 0.25 },
  ]);
  const since = new Date((hourOf(now) - 1) * HOUR).toISOString();
  expect((await read(`?from=${since}`)).total.credits).toBe(0.75);
  const until = new Date((hourOf(now) - 4) * HOUR).toISOString();
  expect(await read(`?to=${until}`)).toMatchObject({ to: until, total: { credits: 2, images: 2 } });
});

test.each([
  'by=day',
  'from=yesterday',
  'from=2026-01-01',
  'to=2026-13-01T00:00:00Z',
  'from=1999-01-01T00:00:00Z',
  'since=x',
])('spending of ?%s is refused, and says what would be right', async (query) => {
  await using api = await openApi();
  const { status, json } = await api.get(`/v1/credits/spend?${query}`);
  expect([status, json.code]).toEqual([400, 'invalid_request']);
  expect(json.errors[0].pointer).toBe(`?${query.split('=')[0]}`);
});

test('the books tell the pace, for how long the rest lasts, and what is left of budgets', async () => {
  await using api = await openApi({ env: { ...KEYS, CREDIT_FLOOR: '1' } });
  const idle = (await api.get('/v1/credits', ann)).json;
  expect(idle).toMatchObject({ burn_rate: 0, runway_seconds: null, spend: { hour: 0, day: 0 }, state: 'open' });
  await spend(api, (await api.submit(undefined, ann)).id, 0.5);
  await api.call('PATCH', '/v1/credits', {
    headers: { 'content-type': 'application/json', ...ann },
    body: '{"budgets":{"ann":{"day":2,"total":0.4}}}',
  });
  const running = await api.submit(undefined, bob);
  await api.startCall(running.id);
  const { json } = await api.get('/v1/credits', ann);
  // An image of the kind is learned to cost 20 times what was set, at most.
  expect(json).toMatchObject({ reserved: 0.4, available: json.balance - 0.4 - 1 });
  expect(json).toMatchObject({ spend: { hour: 0.5, day: 0.5 }, burn_rate: 0.5 });
  expect(json.runway_seconds).toBe(Math.floor((json.available / 0.5) * 3600));
  expect(json.keys).toEqual([
    {
      ...{ name: 'ann', reserved: 0, held: false },
      day: { spent: 0.5, budget: 2, left: 1.5 },
      total: { spent: 0.5, budget: 0.4, left: -0.1 },
    },
    {
      ...{ name: 'bob', reserved: 0.4, held: false },
      day: { spent: 0, budget: null, left: null },
      total: { spent: 0, budget: null, left: null },
    },
  ]);
});

test('a key whose budget is used up is held by itself, and goes on when it is raised', async () => {
  await using api = await openApi({ env: KEYS });
  const patch = (day: number | null) =>
    api.call('PATCH', '/v1/credits', {
      headers: { 'content-type': 'application/json', ...bob },
      body: JSON.stringify({ budgets: { ann: { day } } }),
    });
  await patch(0);
  const { id, urls } = await api.submit(undefined, ann);
  await expect(api.startCall(id)).rejects.toThrow();
  const { json } = await api.get('/v1/credits', bob);
  expect(json.holds).toMatchObject([{ reason: 'key_budget', key: 'ann', model: null, until: expect.any(String) }]);
  expect(json.keys).toMatchObject([
    { name: 'ann', held: true, day: { budget: 0, left: 0 } },
    { name: 'bob', held: false },
  ]);
  expect((await api.get(urls.self, ann)).json.hold).toMatchObject({ reason: 'key_budget' });
  const other = await api.submit(undefined, bob);
  await api.startCall(other.id);
  expect((await patch(1)).json.keys).toMatchObject([{ held: false }, { held: false }]);
  await api.startCall(id);
  expect((await api.get(urls.self, ann)).json.status).toBe('processing');
});

test('changes of the state are listed as events, the newest first, in pages', async () => {
  await using api = await openApi({ env: { CREDIT_LOW: '5' } });
  const [low, floor, plenty] = [nanocredits(4), nanocredits(1), nanocredits(9)];
  await api.ledger.meetUpstream('here', { floor, low: nanocredits(5), resume: nanocredits(6) });
  const read = async (value: number) =>
    api.ledger.takeReading(value, await api.ledger.beginReading(), { floor, resume: nanocredits(6), estimate: 1 });
  await read(plenty);
  await read(low);
  await api.ledger.setHold('credits', 'Refused.');
  await read(plenty);
  const { json } = await api.get('/v1/credits/events');
  const at = expect.stringMatching(/^\d{4}-.*Z$/);
  const id = expect.stringMatching(/^evt_[0-9a-f]+$/);
  const event = (from: string, to: string, cause: string, type: string | null, balance: number) => ({
    ...{ object: 'credit_event', id, type, from, to, cause, at, balance, floor: 1 },
  });
  expect(json).toMatchObject({ object: 'list', has_more: false, next: null });
  expect(json.data).toEqual([
    event('held', 'open', 'enough', 'credits.resumed', 9),
    event('low', 'held', 'refused', 'credits.held', 4),
    event('open', 'low', 'below_low', 'credits.low', 4),
  ]);
  expect((await api.get('/v1/credits')).json).toMatchObject({ state: 'open', state_since: json.data[0].at });
  const first = (await api.get('/v1/credits/events?limit=2')).json;
  expect(first).toMatchObject({ has_more: true, next: json.data[1].id, data: json.data.slice(0, 2) });
  expect((await api.get(`/v1/credits/events?after=${first.next}`)).json.data).toEqual(json.data.slice(2));
  expect((await api.get('/v1/credits/events?after=evt_unknown')).json.data).toEqual([]);
  expect((await api.get('/v1/credits/events?after=7')).status).toBe(400);
});

test('of a call of unknown outcome the balance since is told, and what it suggests', async () => {
  await using api = await openApi({ env: KEYS });
  const { id } = await api.submit(undefined, ann);
  const call = await api.startCall(id);
  const settlement = { kind: 'uncertain' as const, how: 'timeout' };
  await api.jobs.record({ job: id, call: { id: call, settlement }, status: 'queued', uncertain: 'limited' }, 1000);
  const calls = async (headers: Record<string, string>) => (await api.get('/v1/credits', headers)).json.uncertain.calls;
  expect(await calls(ann)).toMatchObject([
    {
      id: call,
      job_id: id,
      model: 'm',
      resolved: false,
      balance_since: { unexplained: 0, read_at: null },
      likely: 'unknown',
    },
  ]);
  expect((await calls(bob))[0].job_id).toBeNull();
  // It could be billed until then; the balance that is read after that holds what it cost.
  const { billable_until: until } = (await calls(ann))[0];
  expect(Date.parse(until)).toBeGreaterThan(Date.now());
  const text = await api.redis.hget(`${api.prefix}uncertain`, call);
  const entry = { ...JSON.parse(text ?? ''), resolve_after: Date.now() - 1 };
  await api.redis.hset(`${api.prefix}uncertain`, call, JSON.stringify(entry));
  const thresholds = { floor: 0, resume: 0, estimate: 1 };
  await api.ledger.takeReading(nanocredits(9.98), await api.ledger.beginReading(), thresholds);
  expect(await calls(ann)).toMatchObject([
    { resolved: true, balance_since: { unexplained: 0.02, read_at: expect.any(String) }, likely: 'billed' },
  ]);
  const { reconciliation } = (await api.get('/v1/credits', ann)).json;
  expect(reconciliation).toMatchObject({
    last: { before: 10, spent: 0, read: 9.98, difference: 0.02 },
    differences: [{ difference: 0.02 }],
    unexplained: 0.02,
    added: 0,
  });
});
