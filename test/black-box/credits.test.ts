import { beforeAll, expect, test } from 'vitest';
import { YARD_MS } from './yard/ground.ts';
import { until } from './yard/until.ts';
import { type Json, SMALL, startYard, type Yard } from './yard/yard.ts';

/** Credits of one image of `SMALL`: 10 of 30 steps, 1/256 of the pixels. */
const IMAGE = 0.01;
const PRICE = IMAGE * 3 * 256;
/** What is guessed of an image is never less than a quarter of this. */
const ESTIMATE = IMAGE * 4;

let yard: Yard;
beforeAll(async () => {
  yard = await startYard({
    settings: { CREDIT_ESTIMATE: String(ESTIMATE) },
    simulator: { SIMULATOR_PRICE: String(PRICE), SIMULATOR_BALANCE: '1' },
  });
  return () => yard[Symbol.asyncDispose]();
}, YARD_MS);

const submit = (prompts: readonly string[]): Promise<Json[]> =>
  Promise.all(prompts.map((prompt) => yard.json('POST', '/v1/jobs', { body: { input: { prompt, ...SMALL } } })));
const look = (jobs: readonly Json[]): Promise<Json[]> =>
  Promise.all(jobs.map(({ id }) => yard.json('GET', `/v1/jobs/${id}`)));
const balance = async () => (await yard.control('GET', 'state')).balance;

test('what an operator holds is not called, says so, and goes on when it is resumed', async () => {
  const held = await yard.json('POST', '/v1/credits/hold', { body: { detail: 'the budget is being talked about' } });
  expect(held.holds).toMatchObject([{ reason: 'operator', detail: expect.stringContaining('talked about') }]);
  const jobs = await submit(['kept 1', 'kept 2', 'kept 3']);
  await until('all say why they wait', async () => (await look(jobs)).every(({ hold }) => hold?.reason === 'operator'));
  expect(await yard.ledger()).toEqual([]);
  await yard.json('POST', '/v1/credits/resume');
  await until('all are done', async () => (await look(jobs)).every(({ status }) => status === 'succeeded'));
  expect((await yard.ledger()).map(({ prompt }) => prompt).sort()).toEqual(['kept 1', 'kept 2', 'kept 3']);
  const changes = (await yard.json('GET', '/v1/credits/changes')).data;
  expect(changes.map(({ by, action }: Json) => `${by} ${action}`)).toEqual(['shop resume', 'shop hold']);
});

test('the floor is kept: work waits there, and goes on when credits come', async () => {
  const floor = 0.5;
  await yard.json('PATCH', '/v1/credits', { body: { floor } });
  await yard.control('POST', 'balance', { set: floor + 3 * IMAGE });
  // The balance went down by another's hand; asked for now rather than at the next look.
  await yard.json('POST', '/v1/credits/resume');
  await until('the balance is known', async () => (await yard.json('GET', '/v1/credits')).balance < 0.6);
  const jobs = await submit(Array.from({ length: 6 }, (_, i) => `near the floor ${i}`));
  const waiting = await until('three wait for credits', async () => {
    const found = await look(jobs);
    const done = found.filter(({ status }) => status === 'succeeded').length;
    const held = found.filter(({ hold }) => hold?.reason === 'credits').length;
    return done + held === 6 && done >= 2 && held;
  });
  expect(waiting).toBeGreaterThanOrEqual(3);
  expect(await balance()).toBeGreaterThanOrEqual(floor - 1e-9);
  expect((await yard.json('GET', '/v1/credits')).state).toBe('held');
  await yard.control('POST', 'balance', { add: 1 });
  await until('all are done', async () => (await look(jobs)).every(({ status }) => status === 'succeeded'));
  // Until it is asked for with nothing in flight, it may be believed to be less.
  const { reserved, uncertain, spent, state } = await until('the balance is known again', async () => {
    const credits = await yard.json('GET', '/v1/credits');
    return Math.abs(credits.balance - (await balance())) < 1e-6 && credits;
  });
  expect([reserved, uncertain.count, state]).toEqual([0, 0, 'open']);
  expect(spent).toBeCloseTo(
    (await yard.ledger()).reduce((sum, { cost }) => sum + cost, 0),
    6,
  );
});

test('a budget of a key holds the jobs of that key alone', async () => {
  await yard.json('PATCH', '/v1/credits', { body: { floor: 0, budgets: { other: { total: 0 } } } });
  const order = (prompt: string) => ({ body: { input: { prompt, ...SMALL } } });
  const theirs = await yard.json('POST', '/v1/jobs', { ...order('not paid for'), key: yard.keys.other });
  await until('it says why it waits', async () => {
    const { hold } = await yard.json('GET', `/v1/jobs/${theirs.id}`, { key: yard.keys.other });
    return hold?.reason === 'key_budget';
  });
  const ours = await yard.json('POST', '/v1/jobs', { ...order('paid for'), headers: { prefer: 'wait=30' } });
  expect(ours.status).toBe('succeeded');
  await yard.json('PATCH', '/v1/credits', { body: { budgets: { other: null } } });
  await until('it is done', async () => {
    const { status } = await yard.json('GET', `/v1/jobs/${theirs.id}`, { key: yard.keys.other });
    return status === 'succeeded';
  });
});
