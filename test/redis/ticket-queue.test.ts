import { newId } from '@renderyard/shared/ids';
import type { Ticket } from '@renderyard/shared/job/job-store';
import { createTicketQueue, RENDER_QUEUE, ticketId } from '@renderyard/shared/job/ticket-queue';
import { createLogger } from '@renderyard/shared/logger';
import { awaitRedis } from '@renderyard/shared/redis/check-redis';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { queuePrefix } from '@renderyard/shared/redis/keys';
import type { Ending } from '@renderyard/worker/render/ending';
import { createTicketWorker } from '@renderyard/worker/worker';
import { describe, expect, inject, it, vi } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { openRedisProxy } from '../support/redis-proxy.ts';
import { openBench } from './bench.ts';
import { allKeys } from './keys.ts';

/** On a busy machine. */
const PATIENCE_MS = 10_000;
const logger = createLogger({ service: 'test', level: 'silent' });

/** A queue of a test's own, and workers on it. */
async function openQueue() {
  const bench = await openBench();
  const prefix = queuePrefix(bench.name);
  const queue = createTicketQueue({ redis: bench.redis, prefix });
  const closing: (() => Promise<unknown>)[] = [];
  return {
    redis: bench.redis,
    prefix,
    queue,
    /** Starts a worker that ends each ticket as it is told to. */
    work(render: (ticket: Ticket) => Promise<Ending>, redis = connectRedis(inject('redisUrl'), 'worker', logger)) {
      const perMinute = 60_000;
      const onEnding = () => undefined;
      const worker = createTicketWorker({
        redis,
        prefix,
        queue,
        lookMs: 100,
        concurrency: 5,
        perMinute,
        lockMs: 60_000,
        render,
        onEnding,
        logger,
      });
      worker.run();
      closing.push(async () => {
        await worker.quiet();
        await worker.idle();
        await worker.close();
        await redis.quit();
      });
    },
    async [Symbol.asyncDispose]() {
      for (const close of closing) await close();
      await queue.close();
      await bench[Symbol.asyncDispose]();
    },
  };
}

const tickets = (count: number): Ticket[] =>
  Array.from({ length: count }, () => ({ job: newId('job'), generation: 1 }));
const oneTicket = (): Ticket => ({ job: newId('job'), generation: 1 });

/** A gate: `passed` resolves once it is opened. */
function gate() {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), passed };
}

describe('a ticket', () => {
  it('has an id that BullMQ takes, another for each generation', () => {
    for (const generation of [0, 1, 99]) {
      const id = ticketId({ job: newId('job'), generation });
      expect(id).not.toContain(':');
      expect(id).not.toMatch(/^\d+$/);
    }
    expect(ticketId({ job: 'job_a', generation: 1 })).not.toBe(ticketId({ job: 'job_a', generation: 11 }));
  });
});

describe('the queue of tickets', () => {
  it('has what was added, once, until it is taken out', async () => {
    await using bench = await openQueue();
    const { queue, redis, prefix } = bench;
    const ticket = oneTicket();
    const some = [ticket, ...tickets(2)];
    await queue.add([]);
    expect(await queue.has(ticket)).toBe(false);
    await queue.add(some);
    await queue.add([ticket]);
    for (const one of some) expect(await queue.has(one)).toBe(true);
    expect(await queue.has({ ...ticket, generation: 2 })).toBe(false);
    expect(await redis.llen(`${prefix}:${RENDER_QUEUE}:wait`)).toBe(3);
    await queue.remove(ticket);
    await queue.remove(ticket);
    expect(await queue.has(ticket)).toBe(false);
    expect(await redis.llen(`${prefix}:${RENDER_QUEUE}:wait`)).toBe(2);
  });

  it.each([
    { kind: 'succeeded' },
    { kind: 'failed', code: 'upstream_failed' },
    { kind: 'canceled' },
    { kind: 'expired' },
    { kind: 'void' },
  ] as const)('keeps nothing of a ticket that ended as %o', async (ending) => {
    await using bench = await openQueue();
    const { queue, redis, prefix } = bench;
    const some = tickets(6);
    bench.work(() => Promise.resolve(ending));
    await queue.add(some);
    await vi.waitFor(async () => {
      for (const ticket of some) expect(await queue.has(ticket)).toBe(false);
    }, PATIENCE_MS);
    const left = (await allKeys(redis, `${prefix}:${RENDER_QUEUE}:`)).filter((key) => key.includes('job_'));
    expect(left).toEqual([]);
  });

  it.each([
    ['a retry', () => Promise.resolve({ kind: 'retry', afterMs: 5 } as const)],
    ['a deferral', () => Promise.resolve({ kind: 'deferred', reason: 'hold', afterMs: 0 } as const)],
    ['an unknown outcome', () => Promise.resolve({ kind: 'uncertain', afterMs: 1 } as const)],
  ])('gives a ticket out again after %s, until it ends', async (_, first) => {
    await using bench = await openQueue();
    const ticket = oneTicket();
    let runs = 0;
    bench.work(() => (++runs < 4 ? first() : Promise.resolve({ kind: 'succeeded' })));
    await bench.queue.add([ticket]);
    await vi.waitFor(async () => expect(await bench.queue.has(ticket)).toBe(false), PATIENCE_MS);
    expect(runs).toBe(4);
  });

  it('takes a new generation of a job whose old ticket is being worked on, and leaves the old one to its worker', async () => {
    await using bench = await openQueue();
    const { queue } = bench;
    const ticket = oneTicket();
    const [begun, held] = [gate(), gate()];
    const done: number[] = [];
    bench.work(async ({ generation }) => {
      if (generation === 1) {
        begun.open();
        await held.passed;
      }
      done.push(generation);
      return { kind: 'succeeded' };
    });
    await queue.add([ticket]);
    await begun.passed;
    await queue.remove(ticket);
    expect(await queue.has(ticket)).toBe(true);
    await queue.add([ticket, { ...ticket, generation: 2 }]);
    held.open();
    await vi.waitFor(() => expect(done.toSorted()).toEqual([1, 2]), PATIENCE_MS);
  });

  it('gives out nothing while it is paused', async () => {
    await using bench = await openQueue();
    await using other = await openQueue();
    const { queue } = bench;
    expect(await queue.isPaused()).toBe(false);
    await queue.pause();
    await queue.pause();
    expect(await queue.isPaused()).toBe(true);
    const worked: string[] = [];
    bench.work(async ({ job }) => {
      worked.push(job);
      return { kind: 'succeeded' };
    });
    const some = tickets(3);
    await queue.add(some);
    for (const ticket of some) expect(await queue.has(ticket)).toBe(true);
    // A worker of another queue that starts later has time for ten tickets.
    let others = 0;
    other.work(async () => {
      others++;
      return { kind: 'succeeded' };
    });
    await other.queue.add(tickets(10));
    await vi.waitFor(() => expect(others).toBe(10), PATIENCE_MS);
    expect(worked).toEqual([]);
    await queue.resume();
    expect(await queue.isPaused()).toBe(false);
    await vi.waitFor(() => expect(worked.toSorted()).toEqual(some.map(({ job }) => job).toSorted()), PATIENCE_MS);
  });

  it('gives out nothing while the rate is limited, and then goes on by itself', async () => {
    await using bench = await openQueue();
    const { queue } = bench;
    const ended: number[] = [];
    bench.work(async () => {
      ended.push(performance.now());
      return { kind: 'succeeded' };
    });
    await queue.add(tickets(1));
    await vi.waitFor(() => expect(ended).toHaveLength(1), PATIENCE_MS);
    const limited = performance.now();
    await queue.rateLimit(300);
    await queue.add(tickets(2));
    await vi.waitFor(() => expect(ended).toHaveLength(3), PATIENCE_MS);
    expect((ended[1] ?? 0) - limited).toBeGreaterThan(290);
  });
});

describe('a queue that is made while Redis', () => {
  it.each([
    ['is frozen', 'SIGSTOP'],
    ['is away', 'SIGKILL'],
  ] as const)('%s fails in time, and takes tickets as soon as Redis is well again', async (_, signal) => {
    await using server = await startRedisInstance();
    const redis = connectRedis(server.url, 'api', logger);
    await awaitRedis(redis, PATIENCE_MS);
    const closed = new Promise((resolve) => redis.once('close', resolve));
    server.kill(signal);
    if (signal === 'SIGKILL') await closed;
    const queue = createTicketQueue({ redis, prefix: queuePrefix('test') });
    try {
      await expect(queue.add([oneTicket()])).rejects.toThrow();
      if (signal === 'SIGKILL') await server.restart();
      else server.kill('SIGCONT');
      await awaitRedis(redis, PATIENCE_MS);
      const ticket = oneTicket();
      await queue.add([ticket]);
      expect(await queue.has(ticket)).toBe(true);
    } finally {
      await queue.close();
      redis.disconnect();
    }
  });
});

describe('a worker whose own connection breaks before it is made', () => {
  it('connects again, takes tickets, and leaves no connection behind', async () => {
    await using proxy = await openRedisProxy(inject('redisUrl'));
    {
      await using bench = await openQueue();
      const redis = connectRedis(proxy.url, 'worker', logger);
      await awaitRedis(redis, PATIENCE_MS);
      const broken = proxy.resetNext();
      const worked: string[] = [];
      bench.work(async ({ job }) => {
        worked.push(job);
        return { kind: 'succeeded' };
      }, redis);
      await broken;
      // The first may be found by the look at the queue that every worker begins with; the second is waited for.
      for (const ticket of tickets(2)) {
        await bench.queue.add([ticket]);
        await vi.waitFor(async () => expect(await bench.queue.has(ticket)).toBe(false), PATIENCE_MS);
        expect(worked.at(-1)).toBe(ticket.job);
      }
      // One that was given up for another may close a moment later.
      await vi.waitFor(() => expect(proxy.open).toBe(2), PATIENCE_MS);
    }
    await vi.waitFor(() => expect(proxy.open).toBe(0), PATIENCE_MS);
  });

  it('stops when it is told to, connected or not', async () => {
    await using proxy = await openRedisProxy(inject('redisUrl'));
    {
      await using bench = await openQueue();
      const redis = connectRedis(proxy.url, 'worker', logger);
      await awaitRedis(redis, PATIENCE_MS);
      const broken = proxy.resetNext();
      bench.work(() => Promise.resolve({ kind: 'succeeded' }), redis);
      await broken;
    }
    await vi.waitFor(() => expect(proxy.open).toBe(0), PATIENCE_MS);
  });
});

describe('a worker whose own connection never comes back', () => {
  it('takes tickets by another', async () => {
    await using bench = await openQueue();
    const redis = connectRedis(inject('redisUrl'), 'worker', logger);
    await awaitRedis(redis, PATIENCE_MS);
    const duplicate = redis.duplicate.bind(redis);
    let lost: ReturnType<typeof duplicate> | undefined;
    const waiting = Promise.withResolvers<void>();
    redis.duplicate = () => {
      const made = duplicate();
      if (lost !== undefined) return made;
      lost = made;
      // What ioredis did to a cluster's connection: its status says for ever that it is about to be there.
      made.bzpopmin = () => {
        Object.defineProperty(made, 'status', { get: () => 'connecting', set: () => undefined });
        waiting.resolve();
        return Promise.reject(new Error('Connection is closed.'));
      };
      return made;
    };
    const worked: string[] = [];
    bench.work(async ({ job }) => {
      worked.push(job);
      return { kind: 'succeeded' };
    }, redis);
    await waiting.promise;
    const ticket = oneTicket();
    await bench.queue.add([ticket]);
    await vi.waitFor(() => expect(worked).toEqual([ticket.job]), PATIENCE_MS);
    await vi.waitFor(async () => expect(await bench.queue.has(ticket)).toBe(false), PATIENCE_MS);
    lost?.disconnect();
  });
});
