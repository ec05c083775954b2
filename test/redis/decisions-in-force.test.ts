import type { CreditDecision } from '@renderyard/shared/credits/credit-decision';
import { describe, expect, it } from 'vitest';
import { COST, openBench, TRIAL_MS } from './bench.ts';
import { contents } from './keys.ts';

const SETTINGS = { floor: 10 * COST, low: 20 * COST, resume: 30 * COST };
const HOLD = { since: 5, detail: 'Wait for the invoice.' };

async function openDecided(settings: typeof SETTINGS | 'untold' = SETTINGS) {
  const bench = await openBench();
  if (settings !== 'untold') await bench.ledger.meetUpstream('one', settings);
  const { floor, resume } = SETTINGS;
  /** The balance call answers; workers know their settings only. */
  const read = (value: number) => bench.balance(value, { floor, resume });
  await read(100 * COST);
  return {
    ...bench,
    read,
    ask: async () => bench.ask(await bench.job(), { floor }),
    decide: (seq: number, decision: Partial<CreditDecision>) =>
      bench.ledger.applyDecision({
        seq,
        at: 1,
        by: 'acme',
        action: 'set',
        changes: [],
        limits: {},
        budgets: {},
        ...decision,
      }),
    held: async () => (await bench.books()).holds.map(({ name, detail }) => [name, detail]),
    limit: async (name: 'floor' | 'low' | 'resume') => (await bench.books()).limits[name],
  };
}
const floor = (images: number) => ({ limits: { floor: { value: images * COST, over: SETTINGS.floor } } });

describe('decisions by hand', () => {
  it('are in force by their number: one that comes late or again changes nothing', async () => {
    await using bench = await openDecided();
    await bench.decide(3, { ...floor(40), budgets: { acme: { day: 7 } }, hold: HOLD });
    const before = await contents(bench.redis, bench.prefix);
    for (const seq of [1, 2, 3]) await bench.decide(seq, { ...floor(50), budgets: { other: { total: 1 } } });
    expect(await contents(bench.redis, bench.prefix)).toEqual(before);
    const { decision, keys } = await bench.books();
    expect([decision, keys.get('acme')?.budget, await bench.held()]).toEqual([
      3,
      { day: 7 },
      [['operator', HOLD.detail]],
    ]);
    await bench.decide(4, { budgets: { other: { total: 1 } } });
    const after = await bench.books();
    expect([after.decision, after.holds, after.keys.get('acme')?.budget, after.keys.get('other')?.budget]).toEqual([
      4,
      [],
      undefined,
      { total: 1 },
    ]);
    expect(await bench.limit('floor')).toEqual({ value: SETTINGS.floor, setting: SETTINGS.floor });
  });

  it('of limits hold until the setting itself is changed, each for itself', async () => {
    await using bench = await openDecided();
    const by = (value: number, over: number) => ({ value: value * COST, over });
    await bench.decide(1, {
      limits: { floor: by(40, SETTINGS.floor), low: by(50, SETTINGS.low), resume: by(60, SETTINGS.resume) },
    });
    const values = async () =>
      [await bench.limit('floor'), await bench.limit('low'), await bench.limit('resume')].map(
        (of) => (of?.value ?? 0) / COST,
      );
    expect(await values()).toEqual([40, 50, 60]);
    await bench.ledger.meetUpstream('one', SETTINGS);
    await bench.ledger.reap(TRIAL_MS, { floor: 1, low: 1, resume: 1 });
    expect(await values()).toEqual([40, 50, 60]);
    await bench.ledger.meetUpstream('one', { ...SETTINGS, low: 21 * COST });
    expect(await values()).toEqual([40, 21, 60]);
    expect(await bench.limit('floor')).toEqual({ value: 40 * COST, setting: SETTINGS.floor });
    // A later decision that was made over the old setting sets it no more; nor does the setting's return.
    await bench.decide(2, { limits: { floor: by(41, SETTINGS.floor), low: by(51, SETTINGS.low) } });
    expect(await values()).toEqual([41, 21, 30]);
    await bench.ledger.meetUpstream('one', SETTINGS);
    expect(await values()).toEqual([41, 20, 30]);
  });

  it('are in force where no worker has told its settings yet, until one tells another', async () => {
    await using bench = await openDecided('untold');
    await bench.decide(1, floor(40));
    expect(await bench.limit('floor')).toEqual({ value: 40 * COST, setting: SETTINGS.floor });
    await bench.ledger.reap(TRIAL_MS, SETTINGS);
    expect(await bench.limit('floor')).toEqual({ value: 40 * COST, setting: SETTINGS.floor });
    await bench.ledger.meetUpstream('one', { ...SETTINGS, floor: 11 * COST });
    expect(await bench.limit('floor')).toEqual({ value: 11 * COST, setting: 11 * COST });
  });
});

describe('a floor that is set by hand', () => {
  it('is kept at once when it is raised, whatever the workers were told', async () => {
    await using bench = await openDecided();
    expect(await bench.ask()).toMatchObject({ verdict: 'go' });
    await bench.decide(1, floor(100));
    expect(await bench.ask()).toMatchObject({ verdict: 'wait', reason: 'drain' });
    expect(await bench.books()).toMatchObject({ state: 'draining' });
  });

  it('is kept to the nanocredit', async () => {
    await using bench = await openDecided();
    await bench.decide(1, { limits: { floor: { value: 99 * COST, over: SETTINGS.floor } } });
    const call = await bench.call({ floor: SETTINGS.floor });
    await bench.end(call);
    expect(await bench.ask()).toEqual({ verdict: 'probe' });
    await bench.read(99 * COST);
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'credits' });
  });

  it('lets held work go on when it is lowered, with the balance that is asked for then', async () => {
    await using bench = await openDecided();
    await bench.decide(1, {
      limits: { floor: { value: 100 * COST, over: SETTINGS.floor }, resume: { value: 0, over: SETTINGS.resume } },
    });
    expect(await bench.ledger.takeAsk()).toBe(true);
    await bench.read(100 * COST);
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'credits' });
    expect(await bench.read(100 * COST)).toEqual({ released: false });
    await bench.decide(2, {
      limits: { floor: { value: 99 * COST, over: SETTINGS.floor }, resume: { value: 0, over: SETTINGS.resume } },
    });
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'credits' });
    expect([await bench.ledger.takeAsk(), await bench.ledger.takeAsk()]).toEqual([true, false]);
    expect(await bench.read(100 * COST)).toEqual({ released: true });
    expect(await bench.ask()).toMatchObject({ verdict: 'go' });
  });
});

describe('a decision', () => {
  it('about other things leaves a key held that is over its budget, and one about its budget looks again', async () => {
    await using bench = await openDecided();
    const budgets = { acme: { total: 2 * COST } };
    await bench.decide(1, { budgets });
    await bench.end(await bench.call());
    await bench.end(await bench.call());
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'key:acme' });
    await bench.decide(2, { budgets, hold: { since: 1, detail: 'Held by hand.' } });
    expect((await bench.held()).map(([name]) => name).sort()).toEqual(['key:acme', 'operator']);
    await bench.decide(3, { budgets });
    expect((await bench.held()).map(([name]) => name)).toEqual(['key:acme']);
    await bench.decide(4, { budgets: { acme: { total: 3 * COST } } });
    expect(await bench.held()).toEqual([]);
  });
});

describe('a level to resume at that is set by hand', () => {
  it('decides when held work goes on', async () => {
    await using bench = await openDecided();
    await bench.decide(1, { limits: { resume: { value: 50 * COST, over: SETTINGS.resume } } });
    await bench.read(10 * COST);
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'credits' });
    expect(await bench.read(49 * COST)).toEqual({ released: false });
    expect(await bench.read(50 * COST)).toEqual({ released: true });
  });
});

describe('resuming by hand', () => {
  it('lets held work go on as soon as one more image fits, without the margin', async () => {
    await using bench = await openDecided();
    await bench.read(10 * COST);
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'credits' });
    expect(await bench.read(11 * COST)).toEqual({ released: false });
    await bench.ledger.resume();
    expect(await bench.held()).toMatchObject([['credits', expect.anything()]]);
    expect([await bench.ledger.takeAsk(), await bench.ledger.takeAsk()]).toEqual([true, false]);
    expect(await bench.read(11 * COST - 1)).toEqual({ released: false });
    expect(await bench.read(11 * COST)).toEqual({ released: true });
    // The next hold has its margin again.
    await bench.read(10 * COST);
    await bench.ask();
    expect(await bench.read(11 * COST)).toEqual({ released: false });
  });

  it('tries at once what is tried at times, and leaves the rest to its cause', async () => {
    await using bench = await openDecided();
    await bench.ledger.setHold('upstream', 'Nobody is there.', { trialMs: TRIAL_MS });
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'upstream' });
    await bench.ledger.setHold('store', 'The store is away.');
    await bench.ledger.resume();
    expect(await bench.ledger.takeAsk()).toBe(true);
    await bench.ledger.releaseHold('store');
    const trial = await bench.call({ floor: SETTINGS.floor });
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'upstream' });
    await bench.end(trial);
    expect(await bench.held()).toEqual([]);
    await bench.ledger.setHold('unauthorized', 'The key is refused.');
    await bench.ledger.resume();
    expect([await bench.held(), await bench.ledger.takeAsk()]).toEqual([
      [['unauthorized', 'The key is refused.']],
      true,
    ]);
  });
});

describe('the operator’s hold', () => {
  it('that was decided ends with the next decision without one, and not by resuming', async () => {
    await using bench = await openDecided();
    await bench.ledger.setHold('operator', HOLD.detail);
    await bench.decide(1, { action: 'hold', hold: HOLD });
    // Asked for once more, with other words, by somebody whose decision is not there yet.
    await bench.ledger.setHold('operator', 'And for the other one.');
    await bench.ledger.resume();
    expect(await bench.held()).toEqual([['operator', 'And for the other one.']]);
    expect(await bench.ask()).toMatchObject({ verdict: 'hold', name: 'operator' });
    await bench.decide(2, { ...floor(11), hold: HOLD });
    expect((await bench.books()).holds).toEqual([{ name: 'operator', ...HOLD }]);
    await bench.decide(3, { action: 'resume' });
    expect(await bench.held()).toEqual([]);
  });

  it('for another upstream stays with decisions about other things, and ends by resuming', async () => {
    await using bench = await openDecided();
    await bench.job();
    expect(await bench.ledger.meetUpstream('two', SETTINGS)).toEqual({ was: 'one', waiting: 1 });
    await bench.decide(1, floor(20));
    const [hold] = await bench.held();
    expect(hold?.[0]).toBe('operator');
    expect(hold?.[1]).toContain('1 jobs were submitted while the upstream was one; now it is two');
    await bench.decide(2, { action: 'resume' });
    await bench.ledger.resume();
    expect(await bench.held()).toEqual([]);
  });
});
