import { feed, repairFeed } from '@renderyard/shared/job/feed';
import type { Ticket } from '@renderyard/shared/job/job-store';
import { createTicketQueue } from '@renderyard/shared/job/ticket-queue';
import { queuePrefix } from '@renderyard/shared/redis/keys';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, MODEL, openBench, TRIAL_MS } from './bench.ts';

/** A bench with a queue of its own. */
async function openFeed() {
  const bench = await openBench();
  const queue = createTicketQueue({ redis: bench.redis, prefix: queuePrefix(bench.name) });
  return {
    ...bench,
    queue,
    async [Symbol.asyncDispose]() {
      await queue.close();
      await bench[Symbol.asyncDispose]();
    },
  };
}

/** Of these tickets, the ones that a worker would act on. */
async function live(bench: Pick<Bench, 'jobs'>, tickets: readonly Ticket[]): Promise<readonly Ticket[]> {
  const found: Ticket[] = [];
  for (const ticket of tickets) if ((await bench.jobs.claim(ticket, TRIAL_MS)).verdict !== 'void') found.push(ticket);
  return found;
}

describe('feed', () => {
  it('fills the queue up to the window, the oldest first, and no further', async () => {
    await using bench = await openFeed();
    const { jobs, queue } = bench;
    const ids = [];
    for (let i = 0; i < 10; i++) ids.push(await bench.job());
    expect(await feed({ jobs, queue, window: 4 })).toBe(4);
    expect(await feed({ jobs, queue, window: 4 })).toBe(0);
    expect(await feed({ jobs, queue, window: 3 })).toBe(0);
    for (const [index, job] of ids.entries()) expect(await queue.has({ job, generation: 1 })).toBe(index < 4);
    await jobs.cancel(ids[0] ?? '');
    expect(await feed({ jobs, queue, window: 4 })).toBe(1);
    expect(await queue.has({ job: ids[4] ?? '', generation: 1 })).toBe(true);
  });

  it('takes each job once, however many feed at the same time', async () => {
    await using bench = await openFeed();
    for (let i = 0; i < 120; i++) await bench.job();
    const others = await Promise.all(Array.from({ length: 3 }, () => bench.connect()));
    const taken = await Promise.all(
      Array.from({ length: 30 }, (_, i) => (others[i % 3] ?? bench).jobs.takeTickets(100)),
    );
    const tickets = taken.flat();
    expect(tickets).toHaveLength(100);
    expect(new Set(tickets.map(({ job }) => job)).size).toBe(100);
    expect(await live(bench, tickets)).toEqual(tickets);
  });

  it('passes over a job that ended while it waited', async () => {
    await using bench = await openFeed();
    const [first, second] = [await bench.job(), await bench.job()];
    await bench.jobs.cancel(first);
    expect((await bench.jobs.takeTickets(1)).map(({ job }) => job)).toEqual([second]);
  });
});

describe('repairFeed', () => {
  it('gives a new ticket to a job whose feeder died before it was queued', async () => {
    await using bench = await openFeed();
    const { jobs, queue } = bench;
    const job = await bench.job();
    const lost = await jobs.takeTickets(10);
    expect(await repairFeed({ jobs, queue, fedBefore: Date.now() - 10_000 })).toBe(0);
    await bench.pass(10_000);
    expect(await repairFeed({ jobs, queue, fedBefore: Date.now() - 9000 })).toBe(1);
    expect(await queue.has({ job, generation: 2 })).toBe(true);
    expect(await live(bench, [...lost, { job, generation: 2 }])).toEqual([{ job, generation: 2 }]);
  });

  it('leaves a job alone whose ticket stands in the queue, in whatever state', async () => {
    await using bench = await openFeed();
    const { jobs, queue } = bench;
    await bench.job();
    await feed({ jobs, queue, window: 10 });
    await bench.pass(10_000);
    expect(await repairFeed({ jobs, queue, fedBefore: Date.now() })).toBe(0);
  });

  it('by several at once never gives one job two live tickets', async () => {
    await using bench = await openFeed();
    const { queue } = bench;
    const ids = [];
    for (let i = 0; i < 20; i++) ids.push(await bench.job());
    await bench.jobs.takeTickets(100);
    await bench.pass(10_000);
    const others = await Promise.all(Array.from({ length: 4 }, () => bench.connect()));
    const fedBefore = Date.now() - 5000;
    const repaired = await Promise.all(others.map(({ jobs }) => repairFeed({ jobs, queue, fedBefore })));
    expect(repaired.reduce((sum, count) => sum + count, 0)).toBe(20);
    const tickets = ids.flatMap((job) => [1, 2, 3].map((generation) => ({ job, generation })));
    expect(await live(bench, tickets)).toEqual(ids.map((job) => ({ job, generation: 2 })));
  });

  it('forgets a fed job that ended', async () => {
    await using bench = await openFeed();
    const job = await bench.job();
    await bench.jobs.takeTickets(10);
    const [fed] = await bench.jobs.fedBefore(Date.now() + 1000);
    await bench.jobs.cancel(job);
    expect(await bench.jobs.retakeTicket(job, fed?.fedAt ?? 0)).toBeUndefined();
    expect(await bench.jobs.fedBefore(Date.now() + 1000)).toEqual([]);
  });
});

describe('a job that left the queue', () => {
  it('is not lost when an old ticket of it makes a call before it is fed again', async () => {
    await using bench = await openFeed();
    await bench.balance(100 * COST);
    const job = await bench.job();
    const [old] = await bench.jobs.takeTickets(1);
    if (old === undefined) throw new Error('there is no ticket');
    // A worker has claimed the ticket when the job is canceled and sent again.
    expect(await bench.jobs.claim(old, TRIAL_MS)).toMatchObject({ verdict: 'yours' });
    await bench.jobs.cancel(job);
    expect(await bench.jobs.retry(job, 10)).toBe('queued');
    const call = await bench.call({ job });
    await bench.jobs.takeTickets(10);
    await bench.end(call, { status: 'queued', settlement: { kind: 'released' } });
    const places = await Promise.all(
      ['waiting', 'fed', `parked:${MODEL}`].map((key) => bench.redis.zscore(`${bench.prefix}${key}`, job)),
    );
    expect(places.filter((score) => score !== null)).toHaveLength(1);
  });
});
