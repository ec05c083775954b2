import { rowJobId } from '@renderyard/shared/batch/row';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { describe, expect, it } from 'vitest';
import { adoptedCall, type BatchBench, bitsOf, ERROR, openBatchBench, rowsIn } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST, TRIAL_MS } from './bench.ts';

const UNCERTAIN = { kind: 'uncertain', how: 'lost_worker' } as const;

/** The one ticket that is fed. */
async function takeOne(bench: BatchBench) {
  const [ticket] = await bench.jobs.takeTickets(1);
  if (ticket === undefined) throw new Error('there is no ticket');
  return ticket;
}

/** A row whose call is lost: its worker has not renewed its lease, and its ticket is claimed again. */
async function loseCall(bench: BatchBench) {
  const ticket = await takeOne(bench);
  const call = await bench.begin(ticket);
  await bench.pass(LEASE_MS);
  expect(await bench.claim(ticket)).toBe('lost');
  return { ticket, call };
}

describe('a row whose worker is lost', () => {
  it('goes on, and its call is charged once; what was reserved for it is kept until then', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const { ticket, call } = await loseCall(bench);
    expect(await bench.state(id)).toMatchObject({ processing: 1, cost: 0, reserved: COST });
    expect(await bench.endRow(call, { status: 'queued', settlement: UNCERTAIN, uncertain: 'limited' })).toMatchObject({
      late: false,
      status: 'queued',
    });
    expect(await bench.state(id)).toMatchObject({ processing: 0, cost: COST, reserved: 0, uncertain: 1 });
    await bench.renderAll([ticket]);
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, cost: 2 * COST, reserved: 0 });
    expect((await bench.results(id)).get(1)).toMatchObject({ attempts: 2, uncertain: 1, cost: 2 * COST });
    await expectBatchesInOrder(bench, [id]);
  });

  it('ends by the image that the lost worker brings after all, though it waits for another attempt', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const { ticket, call } = await loseCall(bench);
    await bench.endRow(call, { status: 'queued', settlement: UNCERTAIN, uncertain: 'limited' });
    expect(await bench.endRow(call)).toMatchObject({ late: false, status: 'succeeded' });
    expect(await bench.claim(ticket)).toBe('void');
    expect(await bench.state(id)).toMatchObject({ status: 'finishing', succeeded: 1, cost: COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('ends once by such an image, also when the row was given back to a batch that was paused', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const { ticket, call } = await loseCall(bench);
    await bench.endRow(call, { status: 'queued', settlement: UNCERTAIN, uncertain: 'limited' });
    await bench.decide(id, { status: 'paused' });
    expect(await bench.claim(ticket)).toBe('void');
    expect(await rowsIn(bench, id, 'again')).toEqual([1]);
    expect(await bench.endRow(call)).toMatchObject({ late: false, status: 'succeeded' });
    await expectBatchesInOrder(bench, [id]);
    await bench.decide(id, { status: 'running' });
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
    expect(await bench.state(id)).toMatchObject({ status: 'finishing', succeeded: 1, cost: COST });
  });

  it('keeps its batch from ending as canceled until its call is charged', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    const { ticket, call } = await loseCall(bench);
    await bench.decide(id, { status: 'canceled' });
    expect((await bench.states.takeFlush(1000))?.ending ?? false).toBe(false);
    expect(await bench.claim(ticket)).toBe('lost');
    expect(await bench.endRow(call, { status: 'queued', settlement: UNCERTAIN, uncertain: 'limited' })).toMatchObject({
      status: 'parked',
    });
    await bench.pass(1000);
    expect(await bench.flush()).toBe(true);
    expect(await bench.state(id)).toMatchObject({ status: 'canceled', canceled: 3, cost: COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('brings its image in vain once its batch has ended as canceled; only its cost is counted', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    const { call } = await loseCall(bench);
    await bench.endRow(call, { status: 'queued', settlement: UNCERTAIN, uncertain: 'limited' });
    await bench.decide(id, { status: 'canceled' });
    expect(await bench.flush()).toBe(true);
    expect((await bench.state(id)).status).toBe('canceled');
    expect(await bench.endRow(call, { settlement: { kind: 'spent', cost: 2 * COST } })).toMatchObject({ late: true });
    expect(await bench.state(id)).toMatchObject({ succeeded: 0, canceled: 3, cost: 2 * COST });
    await expectBatchesInOrder(bench, [id]);
  });

  it('that has cost something is forgotten with its batch, wherever it waits', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    const tickets = await bench.jobs.takeTickets(2);
    for (const ticket of tickets)
      await bench.endRow(await bench.begin(ticket), { status: 'queued', settlement: { kind: 'released' } });
    await bench.decide(id, { status: 'paused' });
    const [given] = tickets;
    if (given !== undefined) expect(await bench.claim(given)).toBe('void');
    await bench.decide(id, { status: 'canceled' });
    expect(await bench.flush()).toBe(true);
    await expectBatchesInOrder(bench, [id]);
    expect(await bench.states.forget('acme', id)).toBe(true);
    await expectBatchesInOrder(bench, [id]);
    for (const ticket of tickets) expect(await bench.claim(ticket)).toBe('void');
    expect(await bench.redis.hgetall(`${bench.prefix}window`)).toEqual({});
  });
});

describe('a ticket of a row', () => {
  it('that was lost is made anew, and the old one is void', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const lost = await takeOne(bench);
    await bench.pass(10_000);
    const [fed] = await bench.jobs.fedBefore(Date.now() - 5000);
    const ticket = await bench.jobs.retakeTicket(lost.job, fed?.fedAt ?? 0);
    if (ticket === undefined) throw new Error('there is no new ticket');
    expect(await bench.jobs.retakeTicket(lost.job, fed?.fedAt ?? 0)).toBeUndefined();
    expect(await bench.claim(lost)).toBe('void');
    await bench.renderAll([ticket]);
    expect((await bench.state(id)).succeeded).toBe(1);
    await expectBatchesInOrder(bench, [id]);
  });

  it('has a generation that no other ticket of the row ever has, also when the row begins anew', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(1);
    const seen = new Set<number>();
    for (let i = 0; i < 4; i++) {
      const ticket = await takeOne(bench);
      expect(seen.has(ticket.generation)).toBe(false);
      seen.add(ticket.generation);
      await bench.decide(id, { status: 'paused' });
      expect(await bench.claim(ticket)).toBe('void');
      await bench.decide(id, { status: 'running' });
    }
  });

  it('that stalled and runs twice makes one call at a time', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const ticket = await takeOne(bench);
    expect(await bench.claim(ticket)).toBe('yours');
    const call = await bench.begin(ticket);
    expect(await bench.claim(ticket)).toBe('busy');
    expect(await bench.ask(ticket.job)).toEqual({ verdict: 'gone' });
    await bench.endRow(call);
    expect(await bench.ask(ticket.job)).toEqual({ verdict: 'gone' });
    await expectBatchesInOrder(bench, [id]);
  });
});

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
