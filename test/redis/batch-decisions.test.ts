import type { BatchDecision } from '@renderyard/shared/batch/batch';
import { describe, expect, it } from 'vitest';
import { FLUSH_AFTER_MS, openBatchBench } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST, LIMITS } from './bench.ts';

describe('a decision', () => {
  it('holds only if none with a higher number does', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(3);
    const paused = bench.next(id, { status: 'paused', name: 'paused' });
    const resumed = bench.next(id, { status: 'running', name: 'resumed', budget: 5 });
    expect(await bench.states.decide(id, resumed)).toMatchObject({ status: 'running', name: 'resumed', decision: 3 });
    expect(await bench.states.decide(id, paused)).toMatchObject({ status: 'running', name: 'resumed', decision: 3 });
    expect(await bench.states.decide(id, resumed)).toMatchObject({ budget: 5, hold: undefined });
    expect(await bench.decide(id, { name: null, budget: null, metadata: { a: 'b' } })).toMatchObject({
      name: null,
      budget: null,
      metadata: { a: 'b' },
    });
  });

  it('about a batch that is not known is put into force by nobody', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(1);
    const decision = bench.next(id, { status: 'canceled' });
    expect(await bench.states.decide('bat_none', decision)).toBeUndefined();
    expect(await bench.redis.exists(`${bench.prefix}batch:bat_none`)).toBe(0);
  });

  it('holds whatever the order in which decisions come', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(3);
    const all: BatchDecision[] = [];
    for (let i = 0; i < 10; i++) all.push(bench.next(id, { status: i % 2 === 0 ? 'paused' : 'running', name: `${i}` }));
    const others = await Promise.all(Array.from({ length: 3 }, () => bench.connect()));
    await Promise.all(all.reverse().map((decision, i) => (others[i % 3] ?? bench).states.decide(id, decision)));
    expect(await bench.state(id)).toMatchObject({ status: 'running', name: '9', decision: 11, hold: undefined });
    await expectBatchesInOrder(bench, [id]);
  });

  it('changes nothing about a batch that has ended', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    await bench.runDry();
    const before = await bench.state(id);
    for (const change of [{ status: 'canceled' }, { status: 'paused' }, { runs: 1 }] as const)
      expect(await bench.decide(id, change)).toEqual(before);
  });
});

describe('a pause', () => {
  it('lets calls in flight end, gives the other rows back, and feeds them again later, each once', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(6);
    const tickets = await bench.jobs.takeTickets(4);
    const [first, second, third, fourth] = tickets;
    if (first === undefined || second === undefined || third === undefined || fourth === undefined)
      throw new Error('few tickets');
    const call = await bench.begin(first);
    await bench.endRow(await bench.begin(second), { status: 'queued', settlement: { kind: 'released' } });
    expect(await bench.claim(third)).toBe('yours');
    expect(await bench.decide(id, { status: 'paused' })).toMatchObject({
      status: 'paused',
      hold: { reason: 'batch_paused' },
    });
    await expectBatchesInOrder(bench, [id]);
    // One that was claimed before learns of it when it asks, the others when they are claimed.
    expect(await bench.ask(third.job)).toEqual({ verdict: 'gone' });
    expect(await bench.claim(second)).toBe('void');
    expect(await bench.claim(fourth)).toBe('void');
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
    await bench.endRow(call);
    expect(await bench.state(id)).toMatchObject({ succeeded: 1, processing: 0, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);

    await bench.decide(id, { status: 'running' });
    const again = await bench.jobs.takeTickets(10);
    expect(bench.rowsOf(again, id).sort()).toEqual([2, 3, 4, 5, 6]);
    for (const ticket of tickets) expect(await bench.claim(ticket)).toBe('void');
    await bench.renderAll(again);
    expect(await bench.state(id)).toMatchObject({ status: 'finishing', succeeded: 6, cost: 6 * COST });
    expect((await bench.results(id)).get(2)).toMatchObject({ attempts: 2 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('that ends before tickets are looked at leaves them alone', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    const tickets = await bench.jobs.takeTickets(10);
    await bench.decide(id, { status: 'paused' });
    await bench.decide(id, { status: 'running' });
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
    await bench.renderAll(tickets);
    expect((await bench.state(id)).succeeded).toBe(3);
  });

  it('gives a call no second chance: one that comes back to be tried again waits in its batch', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    const call = await bench.begin(ticket);
    await bench.decide(id, { status: 'paused' });
    const end = { status: 'queued', settlement: { kind: 'uncertain', how: 'cut' }, uncertain: 'limited' } as const;
    expect(await bench.endRow(call, end)).toMatchObject({ status: 'parked', late: false });
    expect(await bench.state(id)).toMatchObject({ status: 'paused', processing: 0, cost: COST, reserved: 0 });
    await expectBatchesInOrder(bench, [id]);
    // What it has come to is not forgotten.
    await bench.decide(id, { status: 'running' });
    await bench.renderAll(await bench.jobs.takeTickets(10));
    expect((await bench.results(id)).get(1)).toMatchObject({ attempts: 2, uncertain: 1, cost: 2 * COST });
  });

  it('does not keep a batch from ending whose last rows were in flight', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    const call = await bench.begin(ticket);
    await bench.decide(id, { status: 'paused' });
    await bench.endRow(call);
    expect(await bench.state(id)).toMatchObject({ status: 'finishing', hold: undefined });
    await bench.flush();
    expect((await bench.state(id)).status).toBe('completed');
  });
});

describe('a cancel', () => {
  it('once it is answered, no call is admitted any more, however many ask', async () => {
    await using bench = await openBatchBench();
    await bench.balance(10_000 * COST);
    const id = await bench.open(600);
    const tickets = [...(await bench.jobs.takeTickets(400)), ...(await bench.jobs.takeTickets(400))];
    const others = await Promise.all(Array.from({ length: 4 }, () => bench.connect()));
    let answered = false;
    const late: string[] = [];
    let granted = 0;
    const asker = async (index: number) => {
      const { ledger } = others[index % others.length] ?? bench;
      for (let i = index; i < tickets.length; i += 12) {
        const job = tickets[i]?.job ?? '';
        const after = answered;
        const asked = { job, call: `call-${i}`, worker: 'w', model: 'm', costClass: 'c', estimate: COST };
        const { verdict } = await ledger.admit(asked, LIMITS);
        if (verdict === 'go') granted++;
        if (after && verdict !== 'gone') late.push(job);
      }
    };
    const asking = Promise.all(Array.from({ length: 12 }, (_, index) => asker(index)));
    while (granted < 40) await new Promise((resolve) => setImmediate(resolve));
    const state = await bench.decide(id, { status: 'canceled' });
    answered = true;
    const then = granted;
    await asking;
    expect(granted, 'the cancel came in the middle').toBeLessThan(tickets.length);
    expect(late).toEqual([]);
    // Calls whose answers were on their way are counted in the state that the cancel saw.
    expect(state?.processing).toBe(granted);
    expect(granted - then).toBeLessThanOrEqual(12);
    await expectBatchesInOrder(bench, [id]);
  });

  it('counts the rows of every kind right', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(12);
    const tickets = await bench.jobs.takeTickets(8);
    const [ok, failed, flying, flown, lost, backing, parked] = tickets;
    if (!ok || !failed || !flying || !flown || !lost || !backing || !parked) throw new Error('few tickets');
    await bench.renderAll([ok]);
    await bench.renderAll([failed], 'fail');
    const lostCall = await bench.begin(lost);
    await bench.pass(20_000);
    const [first, second] = [await bench.begin(flying), await bench.begin(flown)];
    await bench.endRow(await bench.begin(backing), { status: 'queued', settlement: { kind: 'released' } });
    await bench.endRow(await bench.begin(parked), {
      status: 'parked',
      counted: false,
      settlement: { kind: 'released' },
    });
    await expectBatchesInOrder(bench, [id]);

    expect(await bench.decide(id, { status: 'canceled' })).toMatchObject({ status: 'canceling', processing: 3 });
    expect(await bench.jobs.takeTickets(20)).toEqual([]);
    await bench.endRow(first);
    await bench.endRow(second, {
      status: 'queued',
      settlement: { kind: 'uncertain', how: 'cut' },
      uncertain: 'limited',
    });
    expect(await bench.claim(lost)).toBe('lost');
    await bench.pass(FLUSH_AFTER_MS);
    expect(await bench.flush()).toBe(true);
    expect((await bench.state(id)).status).toBe('canceling');
    await bench.endRow(lostCall, {
      status: 'queued',
      settlement: { kind: 'uncertain', how: 'lost_worker' },
      uncertain: 'limited',
    });
    await expectBatchesInOrder(bench, [id]);
    expect(await bench.flush()).toBe(true);
    expect(await bench.state(id)).toMatchObject({
      status: 'canceled',
      succeeded: 2,
      failed: 1,
      canceled: 9,
      processing: 0,
      uncertain: 2,
      cost: 4 * COST,
      reserved: 0,
    });
    for (const ticket of tickets) expect(await bench.claim(ticket)).toBe('void');
    await expectBatchesInOrder(bench, [id]);
    expect([...(bench.written.get(id)?.keys() ?? [])].sort()).toEqual([1, 2, 3]);
  });

  it('of a batch that was paused, or not begun, ends it at once', async () => {
    await using bench = await openBatchBench();
    for (const status of ['running', 'paused'] as const) {
      const id = await bench.open(4);
      await bench.jobs.takeTickets(2);
      await bench.decide(id, { status });
      await bench.decide(id, { status: 'canceled' });
      expect(await bench.flush()).toBe(true);
      expect(await bench.state(id)).toMatchObject({ status: 'canceled', canceled: 4, hold: undefined });
      await expectBatchesInOrder(bench, [id]);
    }
  });

  it('cannot be taken back', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(4);
    await bench.jobs.takeTickets(2);
    await bench.decide(id, { status: 'canceled' });
    expect(await bench.decide(id, { status: 'running', runs: 1 })).toMatchObject({ status: 'canceling', runs: 0 });
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
  });
});
