import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BatchBench, type Call, FLUSH_LEASE_MS, openBatchBench } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST, LIMITS } from './bench.ts';

async function openRows(budget: number, rows = 20) {
  const bench = await openBatchBench();
  await bench.balance(10_000 * COST);
  const id = await bench.open(rows, { decision: { budget } });
  const jobs = (await bench.jobs.takeTickets(rows)).map(({ job }) => job);
  const job = (index: number) => jobs[index] ?? '';
  return { bench, id, job };
}

const SETTINGS = { floor: 0, low: 0, resume: 0 };
const DRAIN = { verdict: 'wait', reason: 'drain' } as const;

describe('a budget', () => {
  it('is spent to the last call that fits, and then holds the batch', async () => {
    const { bench, id, job } = await openRows(3 * COST + COST / 2);
    await using _ = bench;
    const calls: Call[] = [];
    for (let i = 0; i < 3; i++) calls.push(await bench.call({ job: job(i) }));
    // A call in flight may cost less than was set, so nothing is held yet.
    expect(await bench.ask(job(3))).toMatchObject(DRAIN);
    expect((await bench.state(id)).status).toBe('running');
    for (const call of calls) await bench.endRow(call);
    expect(await bench.ask(job(3))).toEqual({ verdict: 'gone' });
    const state = await bench.state(id);
    expect(state).toMatchObject({ status: 'paused', cost: 3 * COST, reserved: 0 });
    expect(state.hold?.reason).toBe('batch_budget');
    expect(state.hold?.detail).toBe(
      'Of the budget of 0.07 credits 0.06 are spent, and another image is expected to cost 0.02. Raise the budget to go on.',
    );
    await expectBatchesInOrder(bench, [id]);
  });

  it('that is raised lets the batch go on, with the row that was refused', async () => {
    const { bench, id, job } = await openRows(COST, 3);
    await using _ = bench;
    await bench.endRow(await bench.call({ job: job(0) }));
    expect(await bench.ask(job(1))).toEqual({ verdict: 'gone' });
    await bench.decide(id, { status: 'running', budget: 3 * COST });
    expect(await bench.state(id)).toMatchObject({ status: 'running', hold: undefined, budget: 3 * COST });
    const tickets = await bench.jobs.takeTickets(10);
    expect(bench.rowsOf(tickets, id)).toEqual([2]);
    await bench.endRow(await bench.call({ job: job(1) }));
    await bench.endRow(await bench.call({ job: job(2) }));
    expect(await bench.state(id)).toMatchObject({ status: 'finishing', cost: 3 * COST });
  });

  it('that is taken away no longer holds', async () => {
    const { bench, id, job } = await openRows(COST / 2, 1);
    await using _ = bench;
    expect(await bench.ask(job(0))).toEqual({ verdict: 'gone' });
    await bench.decide(id, { status: 'running', budget: null });
    await bench.renderAll(await bench.jobs.takeTickets(1));
    expect((await bench.state(id)).cost).toBe(COST);
  });

  it('keeps what a lost call may have cost until it is known, and releases it once', async () => {
    const { bench, id, job } = await openRows(2 * COST);
    await using _ = bench;
    const lost = await bench.call({ job: job(0) });
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(1);
    expect(await bench.state(id)).toMatchObject({ cost: 0, reserved: COST });
    const other = await bench.call({ job: job(1) });
    expect(await bench.ask(job(2))).toMatchObject(DRAIN);
    const uncertain = { kind: 'uncertain', how: 'lost_worker' } as const;
    for (let i = 0; i < 3; i++) await bench.endRow(lost, { status: 'queued', settlement: uncertain });
    expect(await bench.state(id)).toMatchObject({ cost: COST, reserved: COST });
    expect(await bench.ask(job(2))).toMatchObject(DRAIN);
    // It had cost nothing, as its worker tells now.
    for (let i = 0; i < 3; i++) await bench.endRow(lost, { status: 'queued', settlement: { kind: 'released' } });
    expect(await bench.state(id)).toMatchObject({ cost: 0, reserved: COST });
    await bench.endRow(other);
    await bench.endRow(await bench.call({ job: job(2) }));
    expect(await bench.ask(job(3))).toEqual({ verdict: 'gone' });
    expect(await bench.state(id)).toMatchObject({ status: 'paused', cost: 2 * COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('is not kept back for a call whose worker comes back, nor released twice', async () => {
    const { bench, id, job } = await openRows(2 * COST);
    await using _ = bench;
    const call = await bench.call({ job: job(0) });
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(1);
    expect(await bench.ledger.renew([call.id])).toEqual([]);
    expect(await bench.state(id)).toMatchObject({ cost: 0, reserved: COST });
    await bench.endRow(call);
    expect(await bench.state(id)).toMatchObject({ cost: COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('is not kept back for calls of an upstream that was left', async () => {
    const { bench, id, job } = await openRows(2 * COST);
    await using _ = bench;
    await bench.ledger.meetUpstream('one', SETTINGS);
    await bench.balance(10_000 * COST);
    await bench.call({ job: job(0) });
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(1);
    await bench.ledger.meetUpstream('another', SETTINGS);
    expect(await bench.state(id)).toMatchObject({ cost: 0, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('is told to the store also when it runs out while the batch is being written', async () => {
    const { bench, id, job } = await openRows(COST);
    await using _ = bench;
    await bench.endRow(await bench.call({ job: job(0) }));
    await bench.pass(15_000);
    const flush = await bench.states.takeFlush(FLUSH_LEASE_MS);
    if (flush === undefined) throw new Error('nothing is due');
    await bench.writeParts(flush);
    expect(await bench.ask(job(1))).toEqual({ verdict: 'gone' });
    await bench.states.endFlush(flush);
    await bench.pass(15_000);
    const next = await bench.states.takeFlush(FLUSH_LEASE_MS);
    expect(next).toMatchObject({ batch: id, status: 'paused', parts: [] });
    if (next === undefined) return;
    // Written down as a decision, it is due no more.
    const { hold } = await bench.state(id);
    await bench.decide(id, { status: 'paused', ...(hold && { hold }) });
    await bench.states.endFlush(next);
    await bench.pass(60_000);
    expect(await bench.states.takeFlush(FLUSH_LEASE_MS)).toBeUndefined();
  });

  it('is exact with exact estimates, and else missed by their errors in flight at most, over several connections', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.array(fc.constantFrom(COST, COST, COST / 2, 2 * COST), { minLength: 30, maxLength: 30 }),
        async (fits, costs) => {
          const { bench, id, job } = await openRows(fits * COST, costs.length);
          await using _ = bench;
          const others = await Promise.all(Array.from({ length: 3 }, () => bench.connect()));
          const spent = await spend(bench, others, costs, job);
          const { status, cost, reserved } = await bench.state(id);
          expect({ cost, reserved }).toEqual({ cost: spent.sum, reserved: 0 });
          expect(cost).toBeLessThanOrEqual(fits * COST + spent.error);
          if (costs.every((one) => one === COST)) expect(cost).toBe(fits * COST);
          if (spent.calls < costs.length) expect(status).toBe('paused');
          await expectBatchesInOrder(bench, [id]);
        },
      ),
      { numRuns: 8, examples: [[7, Array.from({ length: 30 }, () => COST)]] },
    );
  });
});

/** Several workers render all rows that they may. A class of its own for each call, so that nothing is learned. */
async function spend(
  bench: BatchBench,
  others: readonly Pick<BatchBench, 'ledger'>[],
  costs: readonly number[],
  job: (index: number) => string,
): Promise<{ sum: number; calls: number; error: number }> {
  const of = { sum: 0, calls: 0, error: 0 };
  let next = 0;
  let flying = 0;
  let underestimated = 0;
  const worker = async (index: number) => {
    const { ledger } = others[index % others.length] ?? bench;
    while (next < costs.length) {
      const row = next++;
      const call = { id: `call-${row}`, job: job(row) };
      const cost = costs[row] ?? COST;
      for (;;) {
        const asked = { call: call.id, job: call.job, worker: 'w', model: 'm', costClass: `c-${row}`, estimate: COST };
        const { verdict } = await ledger.admit(asked, LIMITS);
        if (verdict === 'gone') return;
        if (verdict === 'wait') {
          await new Promise((resolve) => setTimeout(resolve, 2));
          continue;
        }
        flying++;
        underestimated += Math.max(0, cost - COST);
        of.error = Math.max(of.error, underestimated);
        of.calls++;
        await new Promise((resolve) => setTimeout(resolve, row % 5));
        of.sum += cost;
        await bench.endRow(call, { settlement: { kind: 'spent', cost } });
        underestimated -= Math.max(0, cost - COST);
        flying--;
        break;
      }
    }
  };
  await Promise.all(Array.from({ length: 6 }, (_, index) => worker(index)));
  expect(flying).toBe(0);
  return of;
}
