import { rowJobId } from '@renderyard/shared/batch/row';
import { describe, expect, it } from 'vitest';
import { adoptedCall, type BatchBench, bitsOf, ERROR, openBatchBench, rowsIn } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST, TRIAL_MS } from './bench.ts';

/** The one ticket that is fed. */
async function takeOne(bench: BatchBench) {
  const [ticket] = await bench.jobs.takeTickets(1);
  if (ticket === undefined) throw new Error('there is no ticket');
  return ticket;
}

describe('a call that an emptied Redis had granted', () => {
  const call = (id: string, row: number) => ({ id: `call-${row}`, job: rowJobId(id, row) });
  const open = async (bench: BatchBench, budget: number | null = null) => {
    await bench.balance(100 * COST);
    return bench.open(10, { decision: { budget } });
  };

  it('ends its row, and is counted once though it is recorded eight times', async () => {
    await using bench = await openBatchBench();
    const id = await open(bench);
    const ends = await Promise.all(
      Array.from({ length: 8 }, () => bench.endRow(call(id, 3), { adopt: adoptedCall({ attempts: 2 }) })),
    );
    expect(ends.filter(({ late }) => !late)).toHaveLength(1);
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, processing: 0, cost: COST, reserved: 0 });
    expect(await bench.books()).toMatchObject({ spent: COST, reserved: 0, balance: 99 * COST });
    expect((await bench.results(id)).get(3)).toMatchObject({ attempts: 2, cost: COST });
    await expectBatchesInOrder(bench, [id]);
    const left = [1, 2, 4, 5, 6, 7, 8, 9, 10];
    expect(bench.rowsOf(await bench.jobs.takeTickets(100), id)).toEqual(left);
  });

  it.each([
    [
      'is to be tried again',
      { status: 'queued', settlement: { kind: 'uncertain', how: 'cut' }, uncertain: 'limited' },
      COST,
    ],
    ['was put back', { status: 'queued', settlement: { kind: 'released' }, counted: false }, 0],
    ['waits for its model', { status: 'parked', settlement: { kind: 'released' }, counted: false }, 0],
  ] as const)('whose row %s leaves it due', async (_, end, cost) => {
    await using bench = await openBatchBench();
    const id = await open(bench);
    await bench.endRow(call(id, 2), { adopt: adoptedCall(), ...end });
    await expectBatchesInOrder(bench, [id]);
    expect(await bench.state(id)).toMatchObject({ processing: 0, cost, reserved: 0 });
    const tickets = await bench.jobs.takeTickets(100);
    expect(bench.rowsOf(tickets, id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await bench.renderAll(tickets);
    expect(await bench.state(id)).toMatchObject({ status: 'finishing', succeeded: 10, cost: 10 * COST + cost });
    expect((await bench.results(id)).get(2)).toMatchObject({ attempts: cost === 0 ? 1 : 2, cost: COST + cost });
  });

  it.each([
    ['an image', {}, 'succeeded'],
    ['a failure', { status: 'failed', settlement: { kind: 'released' }, error: ERROR }, 'failed'],
  ] as const)('of a row that waits with earlier calls ends it by %s, after these', async (_, end, status) => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const begun = [{ row: 2, calls: 2, limited: 1, cost: 2 * COST, startedAt: 77 }];
    const progress = { again: bitsOf(1, 2), cursor: 2, cost: 2 * COST, uncertain: 2, begun };
    const id = await bench.open(4, { progress });
    await expectBatchesInOrder(bench, [id]);
    await bench.endRow(call(id, 2), { adopt: adoptedCall({ attempts: 3 }), ...end });
    const cost = status === 'succeeded' ? 3 * COST : 2 * COST;
    expect((await bench.results(id)).get(2)).toMatchObject({ status, attempts: 3, uncertain: 2, cost, started_at: 77 });
    expect(await bench.state(id)).toMatchObject({ [status]: 1, processing: 0, cost, uncertain: 2 });
    await expectBatchesInOrder(bench, [id]);
    expect(bench.rowsOf(await bench.jobs.takeTickets(100), id)).toEqual([1, 3, 4]);
  });

  it('whose row has a ticket again ends it by its image; the ticket is void', async () => {
    await using bench = await openBatchBench();
    const id = await open(bench);
    const ticket = await takeOne(bench);
    expect(await bench.claim(ticket)).toBe('yours');
    expect(await bench.endRow(call(id, 1), { adopt: adoptedCall() })).toMatchObject({
      status: 'succeeded',
      late: false,
    });
    expect(await bench.ask(ticket.job)).toEqual({ verdict: 'gone' });
    expect(await bench.claim(ticket)).toBe('void');
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, cost: COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('whose row another worker renders again is counted, and that one ends the row', async () => {
    await using bench = await openBatchBench();
    const id = await open(bench, 3 * COST);
    const again = await bench.begin(await takeOne(bench));
    expect(await bench.endRow(call(id, 1), { adopt: adoptedCall() })).toMatchObject({
      status: 'processing',
      late: true,
    });
    expect(await bench.state(id)).toMatchObject({ succeeded: 0, processing: 1, cost: COST, reserved: COST });
    await expectBatchesInOrder(bench, [id]);
    await bench.endRow(again);
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, processing: 0, cost: 2 * COST, reserved: 0 });
    expect((await bench.results(id)).get(1)).toMatchObject({ cost: 2 * COST });
    await expectBatchesInOrder(bench, [id]);
  });

  it('whose row has a ticket again, and that failed, is counted to the row, also when that is given back', async () => {
    await using bench = await openBatchBench();
    const id = await open(bench);
    const ticket = await takeOne(bench);
    const end = { status: 'queued', settlement: { kind: 'uncertain', how: 'cut' }, uncertain: 'limited' } as const;
    expect(await bench.endRow(call(id, 1), { adopt: adoptedCall(), ...end })).toMatchObject({ late: true });
    await bench.decide(id, { status: 'paused' });
    expect(await bench.claim(ticket)).toBe('void');
    await bench.decide(id, { status: 'running' });
    await bench.renderAll([await takeOne(bench)]);
    expect((await bench.results(id)).get(1)).toMatchObject({ cost: 2 * COST });
    expect((await bench.state(id)).cost).toBe(2 * COST);
    await expectBatchesInOrder(bench, [id]);
  });

  it('whose row has ended by its image, which was found in the store, is not counted again', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(10, {
      progress: { succeeded: bitsOf(1), cursor: 1, counts: { succeeded: 1, failed: 0 }, cost: COST },
      decision: { budget: 2 * COST },
    });
    expect(await bench.endRow(call(id, 1), { adopt: adoptedCall() })).toMatchObject({ late: true });
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, processing: 0, cost: COST, reserved: 0 });
    expect(await bench.books()).toMatchObject({ spent: COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });

  it.each(['paused', 'canceled'] as const)('of a batch that is %s ends its row', async (status) => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    await bench.decide(id, { status });
    await bench.endRow(call(id, 2), { adopt: adoptedCall() });
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, processing: 0, cost: COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
    if (status === 'canceled') {
      await bench.pass(15_000);
      expect(await bench.flush()).toBe(true);
      expect(await bench.state(id)).toMatchObject({ status: 'canceled', succeeded: 1, canceled: 2 });
      await expectBatchesInOrder(bench, [id]);
    }
  });

  it('of a batch that has ended is counted, and changes nothing else', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    await bench.runDry();
    const before = await bench.state(id);
    await bench.endRow(call(id, 1), { adopt: adoptedCall() });
    expect(await bench.state(id)).toEqual(before);
    expect(await bench.books()).toMatchObject({ spent: 2 * COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('of a single job that is forgotten is counted once', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const end = { job: 'job_gone', status: 'succeeded', adopt: adoptedCall(), row: undefined } as const;
    for (let i = 0; i < 3; i++)
      await bench.jobs.record({ ...end, call: { id: 'call-x', settlement: { kind: 'spent', cost: COST } } }, TRIAL_MS);
    expect(await bench.books()).toMatchObject({ spent: COST, reserved: 0 });
  });

  it('that failed ends its row as failed', async () => {
    await using bench = await openBatchBench();
    const id = await open(bench);
    await bench.endRow(call(id, 1), {
      adopt: adoptedCall(),
      status: 'failed',
      error: ERROR,
      settlement: { kind: 'released' },
    });
    expect(await rowsIn(bench, id, 'failed')).toEqual([1]);
    await expectBatchesInOrder(bench, [id]);
  });
});
