import type { HoldName } from '@renderyard/shared/credits/hold';
import { newId } from '@renderyard/shared/ids';
import { describe, expect, it } from 'vitest';
import { COST, MODEL, openBench, TRIAL_MS } from './bench.ts';
import { contents } from './keys.ts';

const FLOOR = 1_000_000_000;

describe('admit', () => {
  it('reserves the estimate, leases a slot and counts the attempt, in one step', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const { id, job, grant } = await bench.call();
    expect(grant).toMatchObject({ verdict: 'go', estimate: COST });
    expect(Math.abs(grant.startedAt - Date.now())).toBeLessThan(5000);
    expect(await bench.books()).toMatchObject({ balance: 10 * COST, reserved: COST, uncertain: 0, inFlight: 1 });
    expect(await bench.jobs.get(job)).toMatchObject({ status: 'processing', call: id, attempts: 1, tries: 1 });
  });

  it('gives the same answer to the same question, and reserves once', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const { id, job, grant } = await bench.call();
    const before = await contents(bench.redis, bench.prefix);
    for (let i = 0; i < 3; i++) expect(await bench.ask(job, { call: id })).toEqual(grant);
    expect(await contents(bench.redis, bench.prefix)).toEqual(before);
  });

  it('says “gone” for a job that is unknown, ended, canceled or called already', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const gone = { verdict: 'gone' };
    expect(await bench.ask('job_unknown')).toEqual(gone);
    const canceled = await bench.job();
    await bench.jobs.cancel(canceled);
    expect(await bench.ask(canceled)).toEqual(gone);
    const called = await bench.call();
    expect(await bench.ask(called.job)).toEqual(gone);
    await bench.jobs.cancel(called.job);
    expect(await bench.ask(called.job)).toEqual(gone);
    await bench.end(called);
    expect(await bench.ask(called.job)).toEqual(gone);
    expect(await bench.books()).toMatchObject({ reserved: 0, inFlight: 0 });
  });

  it('lets no call go beyond the slots, and frees one with each end', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const calls = [await bench.call({ slots: 2 }), await bench.call({ slots: 2 })];
    const job = await bench.job();
    expect(await bench.ask(job, { slots: 2 })).toMatchObject({ verdict: 'wait', reason: 'slot' });
    if (calls[0] !== undefined) await bench.end(calls[0]);
    expect(await bench.ask(job, { slots: 2 })).toMatchObject({ verdict: 'go' });
  });

  it('spaces calls by the pace, and a refusal uses up no turn', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const perMinute = 60;
    await bench.call({ perMinute });
    const job = await bench.job();
    for (let i = 0; i < 3; i++) {
      const verdict = await bench.ask(job, { perMinute });
      expect(verdict).toMatchObject({ verdict: 'wait', reason: 'pace' });
      if (verdict.verdict === 'wait') expect(verdict.ms).toBeLessThanOrEqual(1010);
    }
    await bench.pass(1010);
    expect(await bench.ask(job, { perMinute })).toMatchObject({ verdict: 'go' });
  });

  it('goes exactly down to the floor and not a nanocredit below', async () => {
    await using bench = await openBench();
    await bench.balance(FLOOR + 2 * COST);
    const call = await bench.call({ floor: FLOOR });
    const job = await bench.job();
    expect(await bench.ask(job, { floor: FLOOR + 1 })).toMatchObject({ verdict: 'wait', reason: 'drain' });
    await bench.end(call);
    expect(await bench.ask(job, { floor: FLOOR + 1 })).toEqual({ verdict: 'probe' });
    expect(await bench.ask(job, { floor: FLOOR })).toMatchObject({ verdict: 'go' });
    expect(await bench.books()).toMatchObject({ balance: FLOOR + COST, reserved: COST });
  });

  it('near the floor lets calls in flight end, then asks for the balance, and only then holds', async () => {
    await using bench = await openBench();
    await bench.balance(FLOOR + COST);
    const call = await bench.call({ floor: FLOOR });
    const job = await bench.job();
    expect(await bench.ask(job, { floor: FLOOR })).toMatchObject({ verdict: 'wait', reason: 'drain' });
    await bench.end(call);
    expect(await bench.ask(job, { floor: FLOOR })).toEqual({ verdict: 'probe' });
    await bench.balance(FLOOR + COST - 1, { floor: FLOOR });
    expect(await bench.ask(job, { floor: FLOOR })).toMatchObject({ verdict: 'hold', name: 'credits' });
    expect(await bench.ask(job, { floor: FLOOR })).toMatchObject({ verdict: 'hold', name: 'credits' });
    expect((await bench.books()).holds).toMatchObject([{ name: 'credits', detail: expect.stringContaining('floor') }]);
    await bench.balance(FLOOR + COST, { floor: FLOOR });
    expect(await bench.ask(job, { floor: FLOOR })).toMatchObject({ verdict: 'go' });
  });

  it('counts uncertain calls against the floor', async () => {
    await using bench = await openBench();
    await bench.balance(FLOOR + 2 * COST);
    const call = await bench.call({ floor: FLOOR });
    await bench.end(call, { status: 'failed', settlement: { kind: 'uncertain', how: 'timeout' } });
    await bench.call({ floor: FLOOR });
    expect(await bench.ask(await bench.job(), { floor: FLOOR })).toMatchObject({ verdict: 'wait', reason: 'drain' });
    expect(await bench.books()).toMatchObject({ balance: FLOOR + 2 * COST, reserved: COST, uncertain: COST });
  });

  it('asks for the balance before the first call', async () => {
    await using bench = await openBench();
    expect(await bench.ask(await bench.job())).toEqual({ verdict: 'probe' });
    expect((await bench.books()).inFlight).toBe(0);
  });

  it('without a usable balance and without a floor makes one call at a time', async () => {
    await using bench = await openBench();
    await bench.balance(undefined);
    const call = await bench.call();
    const job = await bench.job();
    expect(await bench.ask(job)).toMatchObject({ verdict: 'wait', reason: 'drain' });
    await bench.end(call);
    expect(await bench.ask(job)).toMatchObject({ verdict: 'go' });
  });

  it('without a usable balance holds where there is a floor to keep, until there is one', async () => {
    await using bench = await openBench();
    await bench.balance(undefined, { floor: 1 });
    const job = await bench.job();
    expect(await bench.ask(job, { floor: 1 })).toMatchObject({ verdict: 'hold', name: 'credits' });
    // What could not be read owes no margin: the threshold to resume at does not count.
    await bench.balance(COST + 1, { floor: 1, resume: 1000 * COST });
    expect(await bench.ask(job, { floor: 1 })).toMatchObject({ verdict: 'go' });
  });

  it('estimates by what the class has cost, once that is known, and others of its model by as much more', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const first = await bench.call({ costClass: 'known' });
    await bench.end(first, { settlement: { kind: 'spent', cost: 3 * COST } });
    expect((await bench.call({ costClass: 'known' })).grant.estimate).toBe(3 * COST);
    expect((await bench.call({ costClass: 'other', estimate: 2 * COST })).grant.estimate).toBe(6 * COST);
    expect((await bench.call({ model: 'model-b', costClass: 'b' })).grant.estimate).toBe(COST);
    expect(await bench.books()).toMatchObject({ reserved: 10 * COST });
  });

  it('reserves something even where a call is guessed to cost nothing', async () => {
    await using bench = await openBench();
    await bench.balance(COST);
    expect((await bench.call({ estimate: 0 })).grant.estimate).toBe(1);
  });

  it('counts the largest amounts that settings allow to the nanocredit', async () => {
    await using bench = await openBench();
    const balance = 987_654_321_012_345;
    const estimate = 9_333_333_333_337;
    await bench.balance(balance);
    const call = await bench.call({ estimate, floor: balance - estimate });
    expect(call.grant.estimate).toBe(estimate);
    expect(await bench.books()).toMatchObject({ balance, reserved: estimate });
    await bench.end(call, { settlement: { kind: 'spent', cost: undefined } });
    expect(await bench.books()).toMatchObject({ balance: balance - estimate, reserved: 0, spent: estimate });
  });
});

describe('a hold', () => {
  it('keeps every call, the gravest first by name', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const job = await bench.job();
    for (const name of [
      `model:${MODEL}`,
      'rate',
      'upstream',
      'store',
      'credits',
      'unauthorized',
      'operator',
      'upgrade',
    ] as const) {
      expect(await bench.ledger.setHold(name, 'why')).toBe(true);
      expect(await bench.ask(job)).toMatchObject({ verdict: 'hold', name });
    }
    expect(await bench.books()).toMatchObject({ reserved: 0, inFlight: 0 });
  });

  it('that only a newer version knows keeps every call, until it ends by itself', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const job = await bench.job();
    // A part of a name that is known, too: it is another hold.
    await bench.ledger.setHold('rat' as HoldName, 'why', { forMs: 5000 });
    expect(await bench.ask(job)).toMatchObject({ verdict: 'hold', name: 'rat' });
    await bench.pass(5000);
    expect(await bench.ask(job)).toMatchObject({ verdict: 'go' });
  });

  it('of one model leaves the others alone', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    await bench.ledger.setHold('model:b', 'why');
    expect(await bench.ask(await bench.job(), { model: 'b' })).toMatchObject({ verdict: 'hold', name: 'model:b' });
    expect(await bench.ask(await bench.job(), { model: 'a' })).toMatchObject({ verdict: 'go' });
  });

  it('that ends by itself says when, and then is gone', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const job = await bench.job();
    await bench.ledger.setHold('rate', 'why', { forMs: 5000 });
    const verdict = await bench.ask(job);
    expect(verdict).toMatchObject({ verdict: 'hold', name: 'rate' });
    if (verdict.verdict === 'hold') expect(verdict.ms).toSatisfy((ms: number) => ms > 4000 && ms <= 5000);
    await bench.pass(5000);
    expect(await bench.ask(job)).toMatchObject({ verdict: 'go' });
    expect(await bench.ledger.holds(Date.now())).toEqual([]);
  });

  it('lets exactly one call through in each period of trial', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    await bench.ledger.setHold('upstream', 'why', { trialMs: TRIAL_MS });
    const jobs = await Promise.all(Array.from({ length: 5 }, () => bench.job()));
    const ask = async () => {
      const verdicts = await Promise.all(jobs.map((job) => bench.ask(job)));
      return verdicts.map(({ verdict }) => verdict).filter((verdict) => verdict === 'go').length;
    };
    expect(await ask()).toBe(0);
    await bench.pass(TRIAL_MS);
    expect(await ask()).toBe(1);
    await bench.pass(TRIAL_MS - 1000);
    expect(await ask()).toBe(0);
    await bench.pass(1000);
    expect(await ask()).toBe(1);
  });

  it('keeps its trial for a call that can be made', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const job = await bench.job();
    await bench.ledger.setHold('upstream', 'why', { trialMs: TRIAL_MS });
    await bench.ledger.setHold(`model:${MODEL}`, 'why');
    await bench.pass(TRIAL_MS);
    expect(await bench.ask(job)).toMatchObject({ verdict: 'hold', name: `model:${MODEL}` });
    await bench.ledger.releaseHold(`model:${MODEL}`);
    expect(await bench.ask(job, { slots: 0 })).toMatchObject({ verdict: 'wait', reason: 'slot' });
    expect(await bench.ask(job)).toMatchObject({ verdict: 'go' });
  });

  it('that is set again keeps the time since when it stands', async () => {
    await using bench = await openBench();
    await bench.ledger.setHold('store', 'first');
    await bench.pass(10_000);
    const [first] = await bench.ledger.holds(Date.now());
    expect(await bench.ledger.setHold('store', 'second')).toBe(false);
    expect(await bench.ledger.holds(Date.now())).toEqual([{ ...first, detail: 'second' }]);
    expect(await bench.ledger.releaseHold('store')).toBe(true);
    expect(await bench.ledger.releaseHold('store')).toBe(false);
  });

  it('for the floor still asks for its margin after the balance could not be read for a while', async () => {
    await using bench = await openBench();
    const thresholds = { floor: FLOOR, resume: FLOOR + 50 * COST };
    const job = await bench.job();
    await bench.balance(FLOOR, thresholds);
    expect(await bench.ask(job, { floor: FLOOR })).toMatchObject({ verdict: 'hold', name: 'credits' });
    await bench.ledger.setHold('credits', 'The balance cannot be read.', { unread: true });
    expect(await bench.balance(FLOOR + 2 * COST, thresholds)).toEqual({ released: false });
    expect(await bench.balance(FLOOR + 50 * COST, thresholds)).toEqual({ released: true });
  });

  it('for credits that a refusal set, and no balance explains, is not ended by reading one', async () => {
    await using bench = await openBench();
    await bench.ledger.setHold('credits', 'The upstream refuses.', { trialMs: TRIAL_MS });
    expect(await bench.balance(1000 * COST)).toEqual({ released: false });
    await bench.pass(TRIAL_MS);
    const call = await bench.call({ job: await bench.job() });
    await bench.end(call);
    expect(await bench.ledger.holds(Date.now())).toEqual([]);
  });
});

describe('a turn', () => {
  it('is taken by one at a time, and ended by its holder only', async () => {
    await using bench = await openBench();
    expect(await bench.ledger.takeTurn('balance', 'a', 60_000)).toBe(true);
    expect(await bench.ledger.takeTurn('balance', 'b', 60_000)).toBe(false);
    expect(await bench.ledger.takeTurn('other', 'b', 60_000)).toBe(true);
    await bench.ledger.endTurn('balance', 'b');
    expect(await bench.ledger.takeTurn('balance', 'b', 60_000)).toBe(false);
    await bench.ledger.endTurn('balance', 'a');
    expect(await bench.ledger.takeTurn('balance', 'b', 60_000)).toBe(true);
  });
});

describe('the same call asked for by several at once', () => {
  it('is granted once', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = newId('call');
    const job = await bench.job();
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => bench.ask(job, { call })));
    for (const verdict of verdicts) expect(verdict).toEqual(verdicts[0]);
    expect(await bench.books()).toMatchObject({ reserved: COST, inFlight: 1 });
    const others = await Promise.all(Array.from({ length: 20 }, () => bench.ask(job)));
    for (const verdict of others) expect(verdict).toEqual({ verdict: 'gone' });
  });
});
