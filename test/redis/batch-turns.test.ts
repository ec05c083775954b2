import { newId } from '@renderyard/shared/ids';
import { createTicketQueue } from '@renderyard/shared/job/ticket-queue';
import { createLogger } from '@renderyard/shared/logger';
import { queuePrefix } from '@renderyard/shared/redis/keys';
import { createTicketWorker } from '@renderyard/worker/worker';
import { Redis } from 'ioredis';
import { describe, expect, inject, it, vi } from 'vitest';
import { type BatchBench, openBatchBench } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST } from './bench.ts';

/** How many of the rows with tickets are of each of these batches. */
async function shares(bench: BatchBench, ids: readonly string[]): Promise<readonly number[]> {
  const fed = await bench.redis.zrange(`${bench.prefix}fed`, '0', '-1');
  return ids.map((id) => fed.filter((job) => job.startsWith(`job_${id.slice(4)}_`)).length);
}

describe('the window of rows', () => {
  it('is shared by accounts evenly, and then by their batches', async () => {
    await using bench = await openBatchBench();
    const ids = [
      await bench.open(100),
      await bench.open(100),
      await bench.open(100),
      await bench.open(100, { account: 'other' }),
    ];
    await bench.jobs.takeTickets(24);
    expect(await shares(bench, ids)).toEqual([4, 4, 4, 12]);
    await expectBatchesInOrder(bench, ids);
  });

  it('is shared so also when tickets come one by one', async () => {
    await using bench = await openBatchBench();
    await bench.balance(1000 * COST);
    const ids = [await bench.open(100), await bench.open(100), await bench.open(100, { account: 'other' })];
    const ended = new Map(ids.map((id) => [id, 0]));
    const queue = [...(await bench.jobs.takeTickets(8))];
    for (let i = 0; i < 80; i++) {
      const ticket = queue.shift();
      if (ticket === undefined) throw new Error('the window is empty');
      await bench.renderAll([ticket]);
      const id = ids.find((one) => ticket.job.startsWith(`job_${one.slice(4)}_`)) ?? '';
      ended.set(id, (ended.get(id) ?? 0) + 1);
      queue.push(...(await bench.jobs.takeTickets(8)));
    }
    const counts = ids.map((id) => ended.get(id) ?? 0);
    for (const [index, count] of [20, 20, 40].entries())
      expect(Math.abs((counts[index] ?? 0) - count), `shares are ${counts.join(', ')}`).toBeLessThanOrEqual(2);
  });

  it.each(['accounts', 'batches'] as const)('that is smaller than there are %s goes round', async (kind) => {
    await using bench = await openBatchBench();
    await bench.balance(1000 * COST);
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) ids.push(await bench.open(9, kind === 'accounts' ? { account: `account-${i}` } : {}));
    for (let i = 0; i < 12; i++) await bench.renderAll(await bench.jobs.takeTickets(2));
    const ended = await Promise.all(ids.map(async (id) => (await bench.state(id)).succeeded));
    expect(ended).toEqual([4, 4, 4, 4, 4, 4]);
  });

  it('gives a batch whose rows all wait for another attempt no more than its share', async () => {
    await using bench = await openBatchBench();
    await bench.balance(1000 * COST);
    const stuck = await bench.open(100);
    const other = await bench.open(100);
    for (const ticket of await bench.jobs.takeTickets(12))
      if (ticket.job.startsWith(`job_${stuck.slice(4)}_`))
        await bench.endRow(await bench.begin(ticket), { status: 'queued', settlement: { kind: 'released' } });
      else await bench.renderAll([ticket]);
    for (let round = 0; round < 5; round++) {
      const tickets = await bench.jobs.takeTickets(12);
      expect(bench.rowsOf(tickets, stuck)).toEqual([]);
      expect(bench.rowsOf(tickets, other)).toHaveLength(6);
      await bench.renderAll(tickets);
    }
    expect(await shares(bench, [stuck])).toEqual([6]);
  });

  it('that was all one batch’s is shared with one that comes later as its rows end', async () => {
    await using bench = await openBatchBench();
    await bench.balance(1000 * COST);
    const first = await bench.open(100);
    const queue = [...(await bench.jobs.takeTickets(10))];
    const second = await bench.open(100);
    for (let i = 0; i < 5; i++) {
      await bench.renderAll(queue.splice(0, 1));
      await bench.jobs.takeTickets(10);
    }
    expect(await shares(bench, [first, second])).toEqual([5, 5]);
  });

  it('serves everybody, however many batches of an account wait for their model', async () => {
    await using bench = await openBatchBench();
    await bench.ledger.setHold('model:model-b', 'why');
    for (let i = 0; i < 70; i++) await bench.open(2, { model: 'model-b' });
    const other = await bench.open(3);
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), other)).toEqual([1, 2, 3]);
  });

  it('serves everybody, however many accounts wait for their model', async () => {
    await using bench = await openBatchBench();
    await bench.ledger.setHold('model:model-b', 'why');
    for (let i = 0; i < 70; i++) await bench.open(2, { model: 'model-b', account: `account-${i}` });
    const other = await bench.open(3);
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), other)).toEqual([1, 2, 3]);
  });

  it('is taken by one feeder at a time, each row once', async () => {
    await using bench = await openBatchBench();
    const ids = [await bench.open(60), await bench.open(60), await bench.open(60, { account: 'other' })];
    const others = await Promise.all(Array.from({ length: 3 }, () => bench.connect()));
    const taken = await Promise.all(
      Array.from({ length: 24 }, (_, i) => (others[i % 3] ?? bench).jobs.takeTickets(100)),
    );
    const tickets = taken.flat();
    expect(tickets).toHaveLength(100);
    expect(new Set(tickets.map(({ job }) => job)).size).toBe(100);
    expect(await shares(bench, ids)).toEqual([25, 25, 50]);
    await expectBatchesInOrder(bench, ids);
  });
});

describe('single jobs', () => {
  it('have a window of their own', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(100);
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), id)).toHaveLength(10);
    const jobs: string[] = [];
    for (let i = 0; i < 12; i++) jobs.push(await bench.job());
    expect((await bench.jobs.takeTickets(10)).map(({ job }) => job)).toEqual(jobs.slice(0, 10));
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
  });

  it('are taken from the queue before rows that were there first', async () => {
    await using bench = await openBatchBench();
    const prefix = queuePrefix(bench.name);
    const queue = createTicketQueue({ redis: bench.redis, prefix });
    await bench.open(40);
    await queue.add(await bench.jobs.takeTickets(40));
    const single = { job: newId('job'), generation: 1 };
    await queue.add([single]);
    const redis = new Redis(inject('redisUrl'), { maxRetriesPerRequest: null });
    const seen: string[] = [];
    const worker = createTicketWorker({
      queue,
      redis,
      prefix,
      concurrency: 1,
      perMinute: 60_000,
      lockMs: 60_000,
      render: async ({ job }) => {
        seen.push(job);
        return { kind: 'void' };
      },
      onEnding: () => undefined,
      logger: createLogger({ service: 'test', level: 'silent' }),
    });
    try {
      worker.run();
      await vi.waitFor(() => expect(seen).toHaveLength(41), 10_000);
      expect(seen.indexOf(single.job)).toBe(0);
    } finally {
      await worker.quiet();
      await worker.idle();
      await worker.close();
      await redis.quit();
      await queue.close();
    }
  });
});

describe('a single job that waits', () => {
  /** Rows with tickets, and the balance to render them. */
  async function openRows() {
    const bench = await openBatchBench();
    await bench.balance(1000 * COST);
    await bench.open(10);
    const tickets = await bench.jobs.takeTickets(10);
    return { bench, rows: tickets.map(({ job }) => job) as [string, string, string, ...string[]] };
  }

  it('for a slot gets it before a row does', async () => {
    const { bench, rows } = await openRows();
    await using _ = bench;
    const running = await bench.call({ job: rows[0] });
    const single = await bench.job();
    expect(await bench.ask(single, { slots: 1 })).toMatchObject({ verdict: 'wait', reason: 'slot' });
    const { seq, startedAt } = running.grant;
    await bench.endRow(running, { reading: { value: 1e12, seq, startedAt } });
    expect(await bench.ask(rows[1], { slots: 1 })).toMatchObject({ verdict: 'wait', reason: 'slot' });
    // With a second slot free, its turn is still the single job's.
    expect(await bench.ask(rows[1], { slots: 2 })).toMatchObject({ verdict: 'wait', reason: 'pace' });
    expect(await bench.ask(single, { slots: 1 })).toMatchObject({ verdict: 'go' });
    expect(await bench.ask(rows[1], { slots: 2 })).toMatchObject({ verdict: 'go' });
  });

  it('for its turn gets it before a row does', async () => {
    const { bench, rows } = await openRows();
    await using _ = bench;
    const single = await bench.job();
    await bench.call({ job: rows[0], perMinute: 60 });
    const verdict = await bench.ask(single, { perMinute: 60 });
    expect(verdict).toMatchObject({ verdict: 'wait', reason: 'pace' });
    await bench.pass(1000);
    expect(await bench.ask(rows[1], { perMinute: 60 })).toMatchObject({ verdict: 'wait', reason: 'pace' });
    expect(await bench.ask(single, { perMinute: 60 })).toMatchObject({ verdict: 'go' });
    await bench.pass(1000);
    expect(await bench.ask(rows[1], { perMinute: 60 })).toMatchObject({ verdict: 'go' });
  });

  it('keeps rows back for no longer than a second after its turn', async () => {
    const { bench, rows } = await openRows();
    await using _ = bench;
    const single = await bench.job();
    await bench.call({ job: rows[0], perMinute: 60 });
    const verdict = await bench.ask(single, { perMinute: 60 });
    if (verdict.verdict !== 'wait') throw new Error('it need not wait');
    // Its worker dies.
    await bench.pass(verdict.ms + 500);
    expect(await bench.ask(rows[1], { perMinute: 60 })).toMatchObject({ verdict: 'wait' });
    await bench.pass(510);
    expect(await bench.ask(rows[1], { perMinute: 60 })).toMatchObject({ verdict: 'go' });
  });

  it('for another single job keeps nobody of its kind back', async () => {
    const { bench } = await openRows();
    await using _ = bench;
    const [first, second] = [await bench.job(), await bench.job()];
    await bench.call({ perMinute: 60 });
    expect(await bench.ask(first, { perMinute: 60 })).toMatchObject({ verdict: 'wait' });
    await bench.pass(1000);
    expect(await bench.ask(second, { perMinute: 60 })).toMatchObject({ verdict: 'go' });
  });
});
