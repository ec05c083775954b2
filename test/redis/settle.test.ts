import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { describe, expect, it } from 'vitest';
import { COST, LIMITS, openBench, TRIAL_MS } from './bench.ts';
import { contents } from './keys.ts';

/** After this long an uncertain call can no longer be billed. */
const RESOLVED_MS = LIMITS.timeoutMs + 30_000;
const UNCERTAIN = { kind: 'uncertain', how: 'timeout' } as const;

describe('record', () => {
  it.each([
    [
      'spent, at a cost that is told',
      { kind: 'spent', cost: COST / 4 },
      { balance: -COST / 4, spent: COST / 4 },
      COST / 4,
    ],
    ['spent, at a cost that is not told', { kind: 'spent', cost: undefined }, { balance: -COST, spent: COST }, COST],
    ['spent, at no cost', { kind: 'spent', cost: 0 }, { balance: 0, spent: 0 }, 0],
    [
      'spent, at more than was reserved',
      { kind: 'spent', cost: 3 * COST },
      { balance: -3 * COST, spent: 3 * COST },
      3 * COST,
    ],
    ['released', { kind: 'released' }, { balance: 0, spent: 0 }, 0],
    ['uncertain', UNCERTAIN, { balance: 0, spent: 0, uncertain: COST }, COST],
  ] as const)('settles a call as %s, once, though it is asked again', async (_, settlement, books, cost) => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    const end = { status: settlement.kind === 'spent' ? 'succeeded' : 'queued', settlement } as const;
    expect(await bench.end(call, end)).toMatchObject({ late: false });
    const settled = await contents(bench.redis, bench.prefix);
    for (let i = 0; i < 3; i++) expect(await bench.end(call, end)).toMatchObject({ late: true });
    expect(await contents(bench.redis, bench.prefix)).toEqual(settled);
    expect(await bench.books()).toMatchObject({
      reserved: 0,
      uncertain: 0,
      inFlight: 0,
      ...books,
      balance: 100 * COST + books.balance,
    });
    expect(await bench.jobs.get(call.job)).toMatchObject({ cost, attempts: 1, tries: 1, call: '' });
  });

  it('counts an uncertain ending that is asked twice as one incident', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const end = { status: 'queued', settlement: UNCERTAIN, incident: true, uncertain: 'limited' } as const;
    for (let i = 0; i < 2; i++) {
      const call = await bench.call();
      await bench.end(call, end);
      await bench.end(call, end);
      expect(await bench.jobs.get(call.job)).toMatchObject({ uncertain: 1, uncertainTries: 1 });
    }
    expect((await bench.books()).holds).toEqual([]);
  });

  it('adds up what a job has cost over all its calls, and keeps it through a retry', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const job = await bench.job();
    const settlements = [
      { kind: 'uncertain', how: 'cut' },
      { kind: 'released' },
      { kind: 'spent', cost: 7 },
      { kind: 'spent', cost: undefined },
    ] as const;
    for (const [index, settlement] of settlements.entries()) {
      const call = await bench.call({ job, costClass: `class-${index}` });
      await bench.end(call, { status: index === 2 ? 'failed' : 'queued', settlement });
      if (index === 2) expect(await bench.jobs.retry(job, 100)).toBe('queued');
    }
    expect(await bench.jobs.get(job)).toMatchObject({ cost: 2 * COST + 7, attempts: 4, tries: 1 });
    expect(await bench.books()).toMatchObject({ reserved: 0, uncertain: COST, spent: COST + 7 });
  });

  it('uses no attempt for a deferral', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    await bench.end(call, { status: 'queued', counted: false, settlement: { kind: 'released' } });
    expect(await bench.jobs.get(call.job)).toMatchObject({ attempts: 0, tries: 0, status: 'queued', call: '' });
  });

  it('counts the credits of a call whose job was forgotten, and nothing else', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    await bench.redis.del(`${bench.prefix}job:${call.job}`);
    expect(await bench.end(call)).toEqual({ status: 'gone', late: true });
    expect(await bench.books()).toMatchObject({ balance: 99 * COST, reserved: 0, spent: COST });
    expect(await bench.redis.exists(`${bench.prefix}job:${call.job}`)).toBe(0);
  });

  it('says of a failure and of an expiry why', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    for (const status of ['failed', 'expired'] as const) {
      const job = await bench.job();
      const error = { code: status === 'failed' ? 'upstream_failed' : 'expired', detail: 'Why.' } as const;
      await bench.jobs.record({ job, status, error }, TRIAL_MS);
      expect(await bench.jobs.get(job)).toMatchObject({ status, error });
    }
  });
});

describe('what a class of calls costs', () => {
  it('is learned from what is told: what the last did, or a high quantile of the last ones where that is more', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const spend = async (cost: number | undefined) => {
      const call = await bench.call();
      await bench.end(call, { settlement: { kind: 'spent', cost } });
      return (await bench.books()).estimates.get('class-a');
    };
    expect(await spend(undefined)).toBeUndefined();
    expect(await spend(1000)).toBe(1000);
    expect(await spend(2000)).toBe(2000);
    expect(await spend(1000)).toBe(2000);
    expect(await spend(undefined)).toBe(2000);
    // Of twenty costs or more, one that was dearer than all others is not what the next is expected to cost.
    for (let i = 0; i < 16; i++) expect(await spend(1000)).toBe(2000);
    expect(await spend(1000)).toBe(1000);
    expect(await spend(3000)).toBe(3000);
  });
});

describe('three endings in a row that nobody can know', () => {
  const incident = { status: 'queued', settlement: UNCERTAIN, incident: true } as const;
  const upstream = [{ name: 'upstream', trialAt: expect.any(Number) }];

  it('hold everything, and one call is let through in each period of trial until one succeeds', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    for (let i = 0; i < 3; i++) {
      expect((await bench.books()).holds).toEqual([]);
      await bench.end(await bench.call(), incident);
    }
    expect((await bench.books()).holds).toMatchObject(upstream);
    const jobs = await Promise.all(Array.from({ length: 3 }, () => bench.job()));
    expect(await bench.ask(jobs[0] ?? '')).toMatchObject({ verdict: 'hold', name: 'upstream' });
    await bench.pass(TRIAL_MS);
    const failing = await bench.call();
    expect(await bench.ask(jobs[0] ?? '')).toMatchObject({ verdict: 'hold', name: 'upstream' });
    await bench.end(failing, incident);
    expect((await bench.books()).holds).toMatchObject(upstream);
    await bench.pass(TRIAL_MS);
    const succeeding = await bench.call();
    await bench.end(succeeding);
    expect((await bench.books()).holds).toEqual([]);
    for (const job of jobs) expect(await bench.ask(job)).toMatchObject({ verdict: 'go' });
  });

  it('are counted anew after a success, and not broken by endings that are known', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    for (let i = 0; i < 2; i++) await bench.end(await bench.call(), incident);
    await bench.end(await bench.call());
    for (let i = 0; i < 2; i++) await bench.end(await bench.call(), incident);
    await bench.end(await bench.call(), { status: 'failed', settlement: { kind: 'released' } });
    expect((await bench.books()).holds).toEqual([]);
    await bench.end(await bench.call(), incident);
    expect((await bench.books()).holds).toMatchObject(upstream);
  });

  it('are one where several calls were lost with one worker, whenever their leases end', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    // Calls since the last renewal have leases of their own.
    for (let i = 0; i < 6; i++) {
      await bench.call({ worker: 'lost' });
      await bench.pass(700);
    }
    for (let i = 0; i < 24; i++) {
      await bench.pass(LEASE_MS / 20);
      await bench.ledger.reap(TRIAL_MS);
    }
    expect(await bench.books()).toMatchObject({ inFlight: 0, uncertain: 6 * COST, holds: [] });
  });

  it('are three where three workers are lost', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    for (const worker of ['one', 'two', 'three']) for (let i = 0; i < 2; i++) await bench.call({ worker });
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    expect((await bench.books()).holds).toMatchObject(upstream);
  });
});

describe('a reading of the balance', () => {
  it('that came with an answer takes the place of what was believed', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    await bench.end(call, { reading: { value: 42 * COST, seq: call.grant.seq, startedAt: call.grant.startedAt } });
    expect(await bench.books()).toMatchObject({ balance: 42 * COST, reserved: 0 });
  });

  it('raises it only when nothing was settled since the request began', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const begun = await bench.ledger.beginReading();
    const thresholds = { floor: 0, resume: 0, estimate: COST };
    await bench.end(await bench.call(), { settlement: { kind: 'released' } });
    await bench.ledger.takeReading(200 * COST, begun, thresholds);
    expect((await bench.books()).balance).toBe(200 * COST);
    await bench.end(await bench.call());
    await bench.ledger.takeReading(300 * COST, begun, thresholds);
    expect((await bench.books()).balance).toBe(199 * COST);
    await bench.ledger.takeReading(50 * COST, begun, thresholds);
    expect((await bench.books()).balance).toBe(50 * COST);
  });

  it('that is quiet and late enough knows what an uncertain call has cost', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    await bench.end(call, { status: 'failed', settlement: UNCERTAIN });
    await bench.balance(99 * COST);
    expect(await bench.books()).toMatchObject({
      balance: 99 * COST,
      uncertain: COST,
      uncertainCalls: [{ resolved: false }],
    });
    await bench.pass(RESOLVED_MS + 1000);
    await bench.balance(99 * COST);
    expect(await bench.books()).toMatchObject({
      balance: 99 * COST,
      uncertain: 0,
      uncertainCalls: [{ resolved: true }],
    });
    // What is told later changes the books, not what is left: the reading has it.
    await bench.end(call, { status: 'failed', settlement: { kind: 'spent', cost: COST } });
    expect(await bench.books()).toMatchObject({ balance: 99 * COST, uncertain: 0, spent: COST, uncertainCalls: [] });
  });

  it('without a number changes nothing but that it was asked for', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    await bench.balance(undefined);
    expect((await bench.books()).balance).toBe(100 * COST);
  });
});
