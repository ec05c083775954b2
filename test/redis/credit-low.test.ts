import { createHash } from 'node:crypto';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, openBench, TRIAL_MS } from './bench.ts';

const SETTINGS = { floor: 5 * COST, low: 30 * COST, resume: 50 * COST };
const uncertain = { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } } as const;

/** `told`: by whom the settings are told. */
async function openLow(told: 'start' | 'upkeep' = 'start') {
  const bench = await openBench();
  if (told === 'start') await bench.ledger.meetUpstream('one', SETTINGS);
  else await bench.ledger.reap(TRIAL_MS, SETTINGS);
  return {
    ...bench,
    read: (value: number) => bench.balance(value, { floor: SETTINGS.floor, resume: SETTINGS.resume }),
  };
}
const stateOf = async (bench: Bench) => (await bench.books()).state;
const types = async (bench: Pick<Bench, 'ledger'>) =>
  (await bench.ledger.events({ limit: 1000 })).map(({ type }) => type).reverse();

describe('an account that is low', () => {
  it.each(['start', 'upkeep'] as const)('is so under CREDIT_LOW until CREDIT_RESUME, told at the %s', async (told) => {
    await using bench = await openLow(told);
    for (const [left, state] of [
      [30, 'open'],
      [29.99, 'low'],
      [30, 'low'],
      [49.99, 'low'],
      [50, 'open'],
      [31, 'open'],
      [29, 'low'],
    ] as const) {
      await bench.read(Math.round(left * COST));
      expect([left, await stateOf(bench)]).toEqual([left, state]);
    }
  });

  it('is so for what is uncertain too, also where a worker was lost, until it comes back', async () => {
    await using bench = await openLow();
    await bench.read(30 * COST);
    const call = await bench.call();
    expect(await stateOf(bench)).toBe('open');
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    expect(await stateOf(bench)).toBe('low');
    await bench.ledger.applyDecision({
      seq: 1,
      at: 1,
      by: 'acme',
      action: 'set',
      changes: [],
      limits: { resume: { value: 0, over: SETTINGS.resume } },
      budgets: {},
    });
    expect(await stateOf(bench)).toBe('low');
    await bench.ledger.renew([call.id]);
    expect(await stateOf(bench)).toBe('open');
    await bench.end(call, uncertain);
    expect(await stateOf(bench)).toBe('low');
  });

  it('is so as soon as the settings are told, or a worker is found lost by whoever asks next', async () => {
    await using bench = await openBench();
    await bench.balance(29 * COST);
    await bench.ledger.reap(TRIAL_MS, SETTINGS);
    expect(await stateOf(bench)).toBe('low');
    await bench.balance(50 * COST);
    await bench.call({ estimate: 21 * COST });
    expect(await stateOf(bench)).toBe('open');
    await bench.pass(LEASE_MS);
    await bench.ask(await bench.job());
    expect(await stateOf(bench)).toBe('low');
  });

  it('is told of once, however often it goes to and fro', async () => {
    await using bench = await openLow();
    for (const left of [60, 29, 31, 29, 49, 10, 31, 29]) await bench.read(left * COST);
    expect(await types(bench)).toEqual(['credits.low']);
    await bench.read(50 * COST);
    await bench.read(29 * COST);
    expect(await types(bench)).toEqual(['credits.low', undefined, 'credits.low']);
  });

  it('is not told of again after a wait or a hold, as long as there was not enough to resume', async () => {
    await using bench = await openLow();
    await bench.read(6 * COST);
    await bench.call({ floor: SETTINGS.floor });
    const waiting = await bench.job();
    await bench.ask(waiting, { floor: SETTINGS.floor });
    expect(await stateOf(bench)).toBe('draining');
    await bench.read(40 * COST);
    expect(await stateOf(bench)).toBe('low');
    await bench.read(29 * COST);
    await bench.ledger.setHold('credits', 'Unread.', { unread: true });
    await bench.read(40 * COST);
    expect(await stateOf(bench)).toBe('low');
    await bench.read(29 * COST);
    expect((await types(bench)).filter((type) => type !== undefined)).toEqual([
      'credits.low',
      'credits.held',
      'credits.resumed',
    ]);
  });

  it('is told of while dear images that nobody asks for any more are waited for', async () => {
    await using bench = await openLow();
    await bench.read(31 * COST);
    const dear = await bench.job();
    const cheap = await bench.call();
    await bench.ask(dear, { costClass: 'dear', estimate: 40 * COST, floor: SETTINGS.floor });
    expect(await stateOf(bench)).toBe('draining');
    await bench.jobs.cancel(dear);
    await bench.end(cheap);
    for (let i = 0; i < 4; i++) {
      // Somebody renders all the while.
      const call = await bench.call({ floor: SETTINGS.floor });
      await bench.pass(5000);
      await bench.ledger.reap(TRIAL_MS);
      await bench.end(call);
    }
    expect(await stateOf(bench)).toBe('low');
    expect((await types(bench)).filter((type) => type !== undefined)).toEqual(['credits.low']);
  });
});

describe('events of credits', () => {
  it('have a type where somebody is to be told, and ids that are the same whoever tells of them', async () => {
    await using bench = await openLow();
    const floor = SETTINGS.floor;
    await bench.read(29 * COST);
    await bench.ledger.setHold('credits', 'Unread.', { unread: true });
    await bench.ledger.setHold('credits', 'Unread still.', { unread: true });
    await bench.read(60 * COST);
    const events = await bench.ledger.events({ limit: 10 });
    expect(events).toMatchObject([
      { type: 'credits.resumed', from: 'held', to: 'open', cause: 'enough', balance: 60 * COST, floor },
      { type: 'credits.held', from: 'low', to: 'held', cause: 'balance_unread', balance: 29 * COST, floor },
      { type: 'credits.low', from: 'open', to: 'low', cause: 'below_low', balance: 29 * COST, floor },
    ]);
    const id = (n: number) =>
      `evt_${createHash('sha1').update(`${bench.generation.current} credits ${n}`).digest('hex').slice(0, 26)}`;
    expect(events.map((event) => event.id)).toEqual([id(3), id(2), id(1)]);
    const { stateSince } = await bench.books();
    expect(stateSince).toBe(events[0]?.at);
  });

  it('are read page by page, and told to one log only', async () => {
    await using bench = await openLow();
    for (let i = 0; i < 130; i++) await bench.read((i % 2 === 0 ? 29 : 50) * COST);
    const other = await bench.connect();
    const told = (await Promise.all([bench, other, bench].map(({ ledger }) => ledger.untold()))).flatMap(
      ({ events }) => events,
    );
    expect(told.length).toBe(130);
    expect((await bench.ledger.untold()).events).toEqual([]);
    const ids = (await bench.ledger.events({ limit: 1000 })).map(({ id }) => id);
    expect(new Set(ids).size).toBe(130);
    expect(told.map(({ id }) => id).sort()).toEqual([...ids].sort());
    const paged: string[] = [];
    for (;;) {
      const page = await bench.ledger.events({ limit: 50, before: paged.at(-1) });
      if (page.length === 0) break;
      paged.push(...page.map(({ id }) => id));
    }
    expect(paged).toEqual(ids);
  });
});
