import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { describe, expect, it } from 'vitest';
import { type BatchBench, openBatchBench, rowsIn } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST } from './bench.ts';

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

  it('is charged once for an image that comes twice, too late first and then in time', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const { ticket, call } = await loseCall(bench);
    await bench.endRow(call, { status: 'queued', settlement: UNCERTAIN, uncertain: 'limited' });
    const second = await bench.begin(ticket);
    expect(await bench.endRow(call)).toMatchObject({ late: true });
    await bench.endRow(second, { status: 'queued', settlement: { kind: 'released' } });
    expect(await bench.endRow(call)).toMatchObject({ late: false, status: 'succeeded' });
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, cost: COST, reserved: 0 });
    expect(await bench.books()).toMatchObject({ spent: COST });
    await expectBatchesInOrder(bench, [id]);
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
