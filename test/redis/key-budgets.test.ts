import type { KeyBudget } from '@renderyard/shared/credits/credit-decision';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { beforeEach, describe, expect, it } from 'vitest';
import { type BatchBench, openBatchBench } from './batch-bench.ts';
import { COST, LIMITS, MODEL, TRIAL_MS } from './bench.ts';
import { awayFromHourEnd } from './time.ts';

beforeEach(awayFromHourEnd);

const DAY_MS = 86_400_000;
const HOLD = 'key:acme';
/** So long after an uncertain call began it can no longer be billed. */
const RESOLVED_MS = LIMITS.timeoutMs + 30_000;
const UNCERTAIN = { kind: 'uncertain', how: 'timeout' } as const;
const LOST = { kind: 'uncertain', how: 'lost_worker' } as const;

/** A bench whose key `acme` has a budget. */
async function openKey(budget: KeyBudget) {
  const bench = await openBatchBench();
  await bench.balance(10_000 * COST);
  let seq = 0;
  const decide = (budgets: Readonly<Record<string, KeyBudget>>) =>
    bench.ledger.applyDecision({ seq: ++seq, at: 1, by: 'acme', action: 'set', changes: [], limits: {}, budgets });
  await decide({ acme: budget });
  return {
    ...bench,
    decide,
    key: async (account = 'acme') => (await bench.books()).keys.get(account),
    held: async () => (await bench.books()).holds.map(({ name }) => name),
    /** A worker takes a ticket, and asks; what is held for the key is parked. */
    async work() {
      const [ticket] = await bench.jobs.takeTickets(1);
      if (ticket === undefined) return 'nothing';
      await bench.jobs.claim(ticket, TRIAL_MS);
      const id = `call-${ticket.job}`;
      const { verdict } = await bench.ask(ticket.job, { call: id });
      if (verdict === 'go') await bench.end({ id, job: ticket.job });
      else await bench.jobs.record({ job: ticket.job, status: 'parked', parkedFor: HOLD }, TRIAL_MS);
      return verdict;
    },
  };
}
const parked = (bench: Pick<BatchBench, 'redis' | 'prefix'>) => bench.redis.zcard(`${bench.prefix}parked:${HOLD}`);

describe('a budget of a key', () => {
  it('in all is spent to the last image that fits; then its jobs are held, until it is raised', async () => {
    await using bench = await openKey({ total: 2 * COST + COST / 2 });
    for (let i = 0; i < 4; i++) await bench.job();
    expect([await bench.work(), await bench.work(), await bench.work()]).toEqual(['go', 'go', 'hold']);
    expect(await bench.key()).toEqual({ total: 2 * COST, day: 2 * COST, reserved: 0, budget: { total: 2.5 * COST } });
    const [hold] = (await bench.books()).holds;
    expect(hold).toMatchObject({ name: HOLD, since: expect.any(Number) });
    expect(hold?.until).toBeUndefined();
    expect(hold?.detail).toBe(
      'Of the budget of 0.05 credits of the API key “acme”, 0.04 are spent, and another image is expected to cost 0.02. Raise it to go on.',
    );
    await bench.pass(3 * DAY_MS);
    expect(await bench.jobs.unpark()).toBe(0);
    await bench.decide({ acme: { total: 4 * COST } });
    expect(await bench.held()).toEqual([]);
    expect(await bench.jobs.unpark()).toBe(1);
    expect([await bench.work(), await bench.work(), await bench.work()]).toEqual(['go', 'go', 'nothing']);
    expect((await bench.key())?.total).toBe(4 * COST);
  });

  it('for a day is there again with the next day, at midnight (UTC)', async () => {
    await using bench = await openKey({ day: COST });
    for (let i = 0; i < 3; i++) await bench.job();
    const before = Math.floor(Date.now() / DAY_MS);
    expect([await bench.work(), await bench.work()]).toEqual(['go', 'hold']);
    const [hold] = (await bench.books()).holds;
    expect([before + 1, Math.floor(Date.now() / DAY_MS) + 1]).toContain((hold?.until ?? 0) / DAY_MS);
    expect(hold?.detail).toBe(
      'Of the budget for today (UTC) of 0.02 credits of the API key “acme”, 0.02 are spent, and another image is expected to cost 0.02. Raise it to go on; tomorrow it goes on by itself.',
    );
    expect(await bench.jobs.unpark()).toBe(0);
    await bench.pass(DAY_MS);
    expect(await bench.key()).toMatchObject({ total: COST, day: 0 });
    expect(await bench.held()).toEqual([]);
    expect(await bench.jobs.unpark()).toBe(1);
    expect([await bench.work(), await bench.work()]).toEqual(['go', 'hold']);
    expect(await bench.key()).toMatchObject({ total: 2 * COST, day: COST });
  });

  it('in all is not lifted by a new day, where there is one for a day too', async () => {
    await using bench = await openKey({ day: COST, total: 2 * COST });
    for (let i = 0; i < 3; i++) await bench.job();
    expect([await bench.work(), await bench.work()]).toEqual(['go', 'hold']);
    await bench.pass(DAY_MS);
    await bench.jobs.unpark();
    expect([await bench.work(), await bench.work()]).toEqual(['go', 'hold']);
    expect((await bench.books()).holds[0]?.until).toBeUndefined();
    await bench.decide({});
    await bench.jobs.unpark();
    expect(await bench.work()).toBe('go');
    expect(await bench.key()).toMatchObject({ total: 3 * COST, budget: {} });
  });

  it('counts calls in flight, and is looked at again soon: they may cost less', async () => {
    await using bench = await openKey({ total: COST });
    const call = await bench.call();
    const waiting = await bench.job();
    const verdict = await bench.ask(waiting);
    expect(verdict).toMatchObject({ verdict: 'hold', name: HOLD });
    if (verdict.verdict === 'hold') expect(verdict.ms).toBeLessThanOrEqual(2000);
    expect((await bench.books()).holds[0]?.detail).toContain('0 are spent and 0.02 set aside for calls in flight');
    await bench.end(call, { settlement: { kind: 'spent', cost: 0 } });
    await bench.pass(2000);
    expect(await bench.ask(waiting, { costClass: 'class-b' })).toMatchObject({ verdict: 'go' });
  });

  it('holds nobody else, and keeps no place from them', async () => {
    await using bench = await openKey({ total: COST });
    for (let i = 0; i < 4; i++) await bench.job();
    expect([await bench.work(), await bench.work()]).toEqual(['go', 'hold']);
    const rows = await bench.open(5);
    const free = await bench.job({ account: 'other' });
    const freeRows = await bench.open(3, { account: 'other' });
    const tickets = await bench.jobs.takeTickets(4);
    expect(tickets.length).toBe(4);
    expect(tickets[0]?.job).toBe(free);
    expect(bench.rowsOf(tickets, freeRows)).toEqual([1, 2, 3]);
    expect(await parked(bench)).toBe(3);
    for (const { job } of tickets) expect(await bench.ask(job)).toMatchObject({ verdict: 'go' });
    await bench.decide({});
    expect(await bench.jobs.unpark()).toBe(3);
    expect(bench.rowsOf(await bench.jobs.takeTickets(20), rows)).toEqual([1, 2, 3, 4, 5]);
  });

  it('gives rows of batches back to them, and its batches are fed no more', async () => {
    await using bench = await openKey({ total: COST });
    const id = await bench.open(4);
    const [first, second] = await bench.jobs.takeTickets(2);
    if (first === undefined || second === undefined) throw new Error('there are no tickets');
    await bench.endRow(await bench.begin(first));
    expect(await bench.ask(second.job)).toMatchObject({ verdict: 'hold', name: HOLD });
    const end = { job: second.job, status: 'parked', parkedFor: HOLD, row: await bench.rowEnd(second.job) } as const;
    expect(await bench.jobs.record(end, TRIAL_MS)).toMatchObject({ status: 'parked' });
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
    expect(await bench.state(id)).toMatchObject({ status: 'running', processing: 0, reserved: 0 });
    await bench.decide({ acme: { total: 10 * COST } });
    await bench.runDry();
    expect(await bench.state(id)).toMatchObject({ succeeded: 4, cost: 4 * COST });
    expect(await bench.key()).toMatchObject({ total: 4 * COST, reserved: 0 });
  });

  it('lets a parked job be canceled or expire, and leaves nothing of it behind', async () => {
    await using bench = await openKey({ total: 0 });
    const jobs = [await bench.job(), await bench.job({ expiresAt: 1 }), await bench.job()];
    expect(await bench.work()).toBe('hold');
    await bench.jobs.takeTickets(10);
    expect(await parked(bench)).toBe(3);
    await bench.jobs.cancel(jobs[0] ?? '');
    expect(await bench.jobs.sweep(0)).toMatchObject({ expired: [jobs[1]] });
    expect(await parked(bench)).toBe(1);
    await bench.jobs.cancel(jobs[2] ?? '');
    await bench.decide({});
    expect(await bench.jobs.unpark()).toBe(0);
    expect(await bench.redis.exists(`${bench.prefix}parked`, `${bench.prefix}parked:${HOLD}`)).toBe(0);
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
  });

  it('and a model that is held too: a job waits for one after the other', async () => {
    await using bench = await openKey({ total: 0 });
    await bench.job();
    expect(await bench.work()).toBe('hold');
    await bench.ledger.setHold(`model:${MODEL}`, 'why');
    await bench.decide({});
    expect(await bench.jobs.unpark()).toBe(1);
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
    await bench.ledger.releaseHold(`model:${MODEL}`);
    expect(await bench.jobs.unpark()).toBe(1);
    expect(await bench.work()).toBe('go');
  });
});

describe('a budget of a key, and calls nobody knows the end of', () => {
  it('is charged for them, and holds no longer once one is told to have cost nothing', async () => {
    await using bench = await openKey({ total: COST });
    const call = await bench.call();
    await bench.end(call, { status: 'queued', settlement: UNCERTAIN });
    expect(await bench.key()).toMatchObject({ total: COST, day: COST, reserved: 0 });
    expect(await bench.ask(call.job)).toMatchObject({ verdict: 'hold', name: HOLD, ms: undefined });
    await bench.end(call, { status: 'queued', settlement: { kind: 'released' } });
    expect(await bench.key()).toMatchObject({ total: 0, day: 0, reserved: 0 });
    expect(await bench.held()).toEqual([]);
    expect(await bench.ask(call.job)).toMatchObject({ verdict: 'go' });
  });

  it('is not larger today for a call of yesterday that turns out to be cheaper', async () => {
    await using bench = await openKey({ day: COST });
    const call = await bench.call();
    await bench.end(call, { status: 'queued', settlement: UNCERTAIN });
    await bench.pass(DAY_MS);
    await bench.end(call, { status: 'queued', settlement: { kind: 'released' } });
    expect(await bench.key()).toMatchObject({ total: 0, day: 0 });
    const dearer = await bench.call({ estimate: COST / 2 });
    await bench.end(dearer, { status: 'queued', settlement: UNCERTAIN });
    await bench.pass(DAY_MS);
    await bench.end(dearer, { status: 'queued', settlement: { kind: 'spent', cost: COST } });
    expect(await bench.key()).toMatchObject({ total: COST, day: COST / 2 });
  });

  it('keeps what a lost call may have cost until its job is told, once', async () => {
    await using bench = await openKey({ total: COST });
    const lost = await bench.call();
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    expect(await bench.key()).toMatchObject({ total: 0, reserved: COST });
    expect(await bench.ask(await bench.job())).toMatchObject({ verdict: 'hold', name: HOLD });
    for (let i = 0; i < 2; i++) await bench.end(lost, { status: 'queued', settlement: LOST });
    expect(await bench.key()).toMatchObject({ total: COST, reserved: 0 });
  });

  it('is charged for a lost call whose job is forgotten, and nothing stays reserved', async () => {
    await using bench = await openKey({ total: 2 * COST });
    const lost = await bench.call();
    const batch = await bench.open(1);
    const [ticket] = await bench.jobs.takeTickets(10);
    if (ticket === undefined) throw new Error('there is no ticket');
    await bench.begin(ticket);
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    await bench.redis.del(`${bench.prefix}job:${lost.job}`, `${bench.prefix}batch:${batch}`);
    await bench.jobs.sweep(0);
    // It may yet be billed.
    expect(await bench.key()).toMatchObject({ total: 0, reserved: 2 * COST });
    await bench.pass(RESOLVED_MS);
    await bench.balance(10_000 * COST);
    for (let i = 0; i < 2; i++) await bench.jobs.sweep(0);
    expect(await bench.key()).toMatchObject({ total: 2 * COST, reserved: 0 });
    expect((await bench.books()).uncertainCalls).toEqual([]);
    const hour = Math.floor(Date.now() / 3_600_000);
    const booked = await bench.ledger.books({ fromHour: hour - 1, toHour: hour + 1 });
    const ofBatch = (id: string | undefined) =>
      booked.filter((entry) => entry.batch === id).map(({ credits }) => credits);
    expect([booked.length, ofBatch(batch), ofBatch(undefined)]).toEqual([2, [COST], [COST]]);
  });
});
