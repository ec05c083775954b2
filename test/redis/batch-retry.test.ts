import { describe, expect, it } from 'vitest';
import { bitsOf, FLUSH_AFTER_MS, openBatchBench, rowsIn } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST } from './bench.ts';

describe('a retry', () => {
  it('has failed rows rendered again, with what they came to before', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(4);
    const [one, two, three] = await bench.jobs.takeTickets(3);
    if (!one || !two || !three) throw new Error('few tickets');
    await bench.renderAll([one]);
    await bench.endRow(await bench.begin(two), {
      status: 'failed',
      error: { code: 'outcome_uncertain', detail: 'Why.' },
      settlement: { kind: 'uncertain', how: 'cut' },
      uncertain: 'limited',
    });
    const before = (await bench.results(id)).get(2);
    const flying = await bench.begin(three);
    expect(await bench.decide(id, { runs: 1 })).toMatchObject({ status: 'running', failed: 0, succeeded: 1, runs: 1 });
    expect((await bench.results(id)).get(2)).toEqual(before);
    await expectBatchesInOrder(bench, [id]);

    const tickets = await bench.jobs.takeTickets(10);
    expect(bench.rowsOf(tickets, id)).toEqual([2, 4]);
    expect(await bench.jobs.get(two.job)).toMatchObject({ id: two.job, run: 1, tries: 0, uncertainTries: 0 });
    expect(await bench.claim(two)).toBe('void');
    // It was under way when the retry was asked for, and fails in the new run.
    await bench.failRow(flying);
    await bench.renderAll(tickets);
    expect(await bench.state(id)).toMatchObject({ status: 'finishing', succeeded: 3, failed: 1, cost: 4 * COST });
    const results = await bench.results(id);
    expect(results.get(2)).toMatchObject({ run: 1, status: 'succeeded', attempts: 2, uncertain: 1, cost: 2 * COST });
    expect(results.get(2)?.error).toBeUndefined();
    expect(results.get(2)?.started_at).toBe(before?.started_at);
    expect(results.get(3)).toMatchObject({ run: 1, status: 'failed', attempts: 1 });
    await expectBatchesInOrder(bench, [id]);
  });

  it('lets a batch go on that is about to end, and keeps what was written', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(2);
    await bench.renderAll(await bench.jobs.takeTickets(10), 'fail');
    const flush = await bench.states.takeFlush(10_000);
    if (flush === undefined) throw new Error('nothing is due');
    expect(flush.ending).toBe(true);
    await bench.writeParts(flush);
    expect(await bench.decide(id, { runs: 1 })).toMatchObject({ status: 'running', failed: 0 });
    expect(await bench.states.complete(flush, Date.now())).toBe(false);
    await bench.states.endFlush(flush);
    await bench.runDry();
    await bench.pass(FLUSH_AFTER_MS);
    await bench.flush();
    expect(await bench.state(id)).toMatchObject({ status: 'completed', succeeded: 2, failed: 0 });
    expect(bench.written.get(id)?.get(1)).toMatchObject({ run: 1, status: 'succeeded', attempts: 2 });
  });

  it('of a batch none of whose rows has failed ends it all the same', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(2);
    await bench.renderAll(await bench.jobs.takeTickets(10));
    expect(await bench.decide(id, { runs: 1 })).toMatchObject({ status: 'finishing', runs: 1 });
    expect(await bench.flush()).toBe(true);
    expect((await bench.state(id)).status).toBe('completed');
  });

  it('of a paused batch waits for its end, where it does not end it', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    await bench.renderAll(await bench.jobs.takeTickets(1), 'fail');
    await bench.decide(id, { status: 'paused' });
    const { hold } = await bench.state(id);
    await bench.decide(id, { status: 'paused', runs: 1, ...(hold && { hold }) });
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
    await bench.decide(id, { status: 'running' });
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), id)).toEqual([1, 2, 3]);
  });

  it('leaves rows due that were given back', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    const [first, second] = await bench.jobs.takeTickets(2);
    if (!first || !second) throw new Error('few tickets');
    await bench.renderAll([second], 'fail');
    await bench.decide(id, { status: 'paused' });
    expect(await bench.claim(first)).toBe('void');
    await bench.decide(id, { status: 'running', runs: 1 });
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), id)).toEqual([1, 2, 3]);
  });

  it('twice before anything is fed keeps the row due once', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    await bench.renderAll(await bench.jobs.takeTickets(1), 'fail');
    await bench.decide(id, { runs: 1 });
    await bench.decide(id, { runs: 2 });
    expect(await rowsIn(bench, id, 'again')).toEqual([1]);
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), id)).toEqual([1, 2, 3]);
    await expectBatchesInOrder(bench, [id]);
  });

  it('of an ended batch opens it again, with its failed rows due', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    const tickets = await bench.jobs.takeTickets(10);
    await bench.renderAll(tickets.slice(0, 2));
    await bench.renderAll(tickets.slice(2), 'fail');
    await bench.flush();
    const ended = await bench.state(id);
    expect(ended.status).toBe('completed');
    bench.next(id, { runs: 1 });

    const version = Date.now() + 3_600_000;
    const progress = {
      succeeded: bitsOf(1, 2),
      again: bitsOf(3),
      cursor: 3,
      counts: { succeeded: 2, failed: 0 },
      cost: ended.cost,
      versions: new Map([[0, version]]),
    };
    expect(await bench.reopen(id, progress)).toBe(true);
    expect(await bench.state(id)).toMatchObject({ status: 'running', runs: 1, endedAt: undefined, failed: 0 });
    expect(await bench.redis.pttl(`${bench.prefix}batch:${id}`)).toBe(-1);
    await expectBatchesInOrder(bench, [id]);
    const again = await bench.jobs.takeTickets(10);
    expect(bench.rowsOf(again, id)).toEqual([3]);
    await bench.renderAll(again);
    const flush = await bench.states.takeFlush(1000);
    expect(flush?.version).toBeGreaterThan(version);
    expect(flush?.parts).toEqual([{ part: 0, version }]);
    expect((await bench.results(id)).get(3)).toMatchObject({ run: 1, attempts: 2, status: 'succeeded' });
  });
});
