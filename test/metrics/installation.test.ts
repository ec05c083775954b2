import { readInstallation } from '@renderyard/shared/metrics/installation';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { ERROR, openBatchBench } from '../redis/batch-bench.ts';
import { COST, TRIAL_MS } from '../redis/bench.ts';
import { contents } from '../redis/keys.ts';
import { openWebhookBench, WAIT_MS } from '../redis/webhook-bench.ts';
import { startRedisInstance } from '../support/redis-instance.ts';

const MINUTE = 60_000;
/** A busy machine may be so many seconds late between two steps. */
const LATE = 20;

type Readable = Pick<Awaited<ReturnType<typeof openBatchBench>>, 'redis' | 'prefix' | 'generation'>;
const read = ({ redis, prefix, generation }: Readable) => readInstallation(redis, prefix, generation.current);

/** An age that is so many seconds, or a little more. */
const age = (seconds: number) => ({
  asymmetricMatch: (value: number) => value >= seconds - 0.5 && value < seconds + LATE,
  toAsymmetricMatcher: () => `${seconds} s`,
});

describe('what an installation is like', () => {
  it('is nothing at the beginning', async () => {
    await using bench = await openBatchBench();
    expect(await read(bench)).toMatchObject({
      ...{ jobs: 0, oldestJobAge: 0, oldestTicketAge: 0, rows: 0, callsOfMinute: 0, slots: 0, spent: 0 },
      tickets: { waiting: 0, active: 0, delayed: 0 },
      batches: { running: 0, paused: 0, canceling: 0, finishing: 0 },
      ...{ balance: undefined, balanceAge: undefined, state: 'open', floor: undefined, low: undefined, holds: [] },
      ...{ deliveries: 0, oldestDueAge: 0, outbox: 0, oldestEventAge: 0, uncertainCalls: 0 },
    });
  });

  it('is not told by a Redis that was emptied', async () => {
    await using bench = await openBatchBench();
    await bench.redis.del(`${bench.prefix}generation`);
    await expect(read(bench)).rejects.toBeInstanceOf(GenerationLostError);
  });

  it('is read without changing anything', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 100);
    await bench.open(5);
    await bench.call();
    await bench.job();
    await bench.jobs.takeTickets(2);
    await bench.ledger.setHold('operator', 'Held.');
    const before = await contents(bench.redis, bench.prefix);
    await read(bench);
    expect(await contents(bench.redis, bench.prefix)).toEqual(before);
  });
});

describe('the age of what waits', () => {
  it('is that of the oldest single job, with or without a ticket, until it is called', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 100);
    const createdAt = Date.now() - 10 * MINUTE;
    const first = await bench.job({ createdAt });
    await bench.job({ createdAt: createdAt + 4 * MINUTE });
    expect(await read(bench)).toMatchObject({ jobs: 2, oldestJobAge: age(600), oldestTicketAge: 0 });

    await bench.jobs.takeTickets(1);
    await bench.pass(MINUTE);
    expect(await read(bench)).toMatchObject({ jobs: 2, oldestJobAge: age(600), oldestTicketAge: age(60) });

    await bench.call({ job: first });
    expect(await read(bench)).toMatchObject({ jobs: 1, oldestJobAge: age(360), oldestTicketAge: 0, slots: 1 });
  });

  it('is 0 while a job waits for its next attempt, and counts from then on', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 100);
    const job = await bench.job({ createdAt: Date.now() - 10 * MINUTE });
    await bench.jobs.takeTickets(1);
    const call = await bench.call({ job });
    const settlement = { kind: 'released' } as const;
    await bench.end(call, { status: 'queued', settlement, retryAt: Date.now() + MINUTE });
    await bench.pass(5 * MINUTE);
    // The retry is a minute ahead still: only what has become of it is moved.
    expect(await read(bench)).toMatchObject({ jobs: 1, oldestJobAge: 0, oldestTicketAge: 0 });
    await bench.redis.hset(`${bench.prefix}job:${job}`, 'retry_at', Date.now() - 2 * MINUTE);
    expect(await read(bench)).toMatchObject({ jobs: 1, oldestJobAge: age(120), oldestTicketAge: age(120) });
  });

  it('of a job that was retried by hand counts from then on, and does not hide one that has waited longer', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 100);
    const old = await bench.job({ createdAt: Date.now() - 100 * MINUTE });
    await bench.jobs.takeTickets(1);
    const call = await bench.call({ job: old });
    await bench.end(call, { status: 'failed', settlement: { kind: 'released' }, error: ERROR });
    expect(await read(bench)).toMatchObject({ jobs: 0, oldestJobAge: 0 });
    expect(await bench.jobs.retry(old, 1000)).toBe('queued');
    expect(await read(bench)).toMatchObject({ jobs: 1, oldestJobAge: age(0) });
    await bench.job({ createdAt: Date.now() - 3 * MINUTE });
    expect(await read(bench)).toMatchObject({ jobs: 2, oldestJobAge: age(180) });
  });

  it('of rows is that of their oldest ticket', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 100);
    await bench.open(5);
    expect(await read(bench)).toMatchObject({ rows: 5, jobs: 0, oldestTicketAge: 0, batches: { running: 1 } });
    const [ticket] = await bench.jobs.takeTickets(1);
    await bench.pass(2 * MINUTE);
    await bench.jobs.takeTickets(2);
    expect(await read(bench)).toMatchObject({ rows: 5, jobs: 0, oldestJobAge: 0, oldestTicketAge: age(120) });
    if (ticket === undefined) throw new Error('no ticket');
    await bench.begin(ticket);
    expect(await read(bench)).toMatchObject({ rows: 4, oldestTicketAge: age(0) });
  });

  it('goes on while work is held, also where it is parked', async () => {
    await using bench = await openBatchBench();
    await bench.job({ createdAt: Date.now() - 10 * MINUTE });
    await bench.job({ createdAt: Date.now() - 20 * MINUTE, model: 'model-b' });
    await bench.ledger.setHold(`model:model-b`, 'Held.', { trialMs: TRIAL_MS });
    await bench.ledger.setHold('operator', 'Held.');
    await bench.jobs.takeTickets(10);
    await bench.pass(MINUTE / 2);
    expect(await read(bench)).toMatchObject({
      jobs: 2,
      oldestJobAge: age(1200),
      oldestTicketAge: age(30),
      holds: expect.arrayContaining([
        { reason: 'operator', age: age(30) },
        { reason: 'model', age: age(30) },
      ]),
    });
  });

  it('leaves out rows of batches that are paused, and tells why they are', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 100);
    const id = await bench.open(5);
    const [ticket] = await bench.jobs.takeTickets(1);
    await bench.pass(5 * MINUTE);
    const since = Date.now() - 7 * MINUTE;
    await bench.decide(id, { status: 'paused', hold: { reason: 'batch_budget', since, detail: 'Used up.' } });
    if (ticket !== undefined) await bench.claim(ticket);
    expect(await read(bench)).toMatchObject({
      rows: 5,
      oldestTicketAge: 0,
      batches: { running: 0, paused: 1 },
      holds: [{ reason: 'batch_budget', age: age(420) }],
    });
  });
});

describe('what is counted', () => {
  it('of batches is each that has not ended, and none that has', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 1000);
    const [done, canceled] = [await bench.open(3), await bench.open(4)];
    await bench.runDry();
    const left = await bench.open(6);
    await bench.decide(canceled, { status: 'canceled' });
    while (await bench.flush());
    expect((await bench.state(done)).status).toBe('completed');
    expect(await read(bench)).toMatchObject({
      rows: 6,
      batches: { running: 1, paused: 0, canceling: 0, finishing: 0 },
    });
    await bench.decide(left, { status: 'canceled' });
    expect((await read(bench)).batches).toMatchObject({ running: 0, canceling: 1 });
    while (await bench.flush());
    expect((await read(bench)).batches).toMatchObject({ running: 0, canceling: 0 });
    expect(await bench.redis.exists(`${bench.prefix}open`)).toBe(0);
  });

  it('of calls is every one that began within the last sixty seconds', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 1000);
    for (let i = 0; i < 25; i++) await bench.call({ perMinute: 100_000 });
    expect((await read(bench)).callsOfMinute).toBe(25);
    await bench.pass(40_000);
    for (let i = 0; i < 5; i++) await bench.call();
    expect((await read(bench)).callsOfMinute).toBeLessThanOrEqual(30);
    await bench.pass(30_000);
    expect((await read(bench)).callsOfMinute).toBeLessThanOrEqual(5);
    await bench.pass(40_000);
    expect((await read(bench)).callsOfMinute).toBe(0);
  });

  it('of credits is what the books say', async () => {
    await using bench = await openBatchBench();
    await bench.balance(COST * 50);
    await bench.end(await bench.call());
    await bench.end(await bench.call(), { status: 'failed', settlement: { kind: 'uncertain', how: 'timeout' } });
    await bench.call();
    const books = await bench.books();
    expect(await read(bench)).toMatchObject({
      balance: books.balance,
      reserved: COST,
      uncertain: COST,
      spent: books.spent,
      uncertainCalls: 1,
      slots: 1,
      state: books.state,
      balanceAge: age(0),
    });
    expect(books).toMatchObject({ reserved: COST, uncertain: COST });
  });

  it('of deliveries is what waits or is on its way, and the oldest that is due of receivers that do not fail', async () => {
    await using bench = await openWebhookBench();
    const [good, bad] = [await bench.endpoint(), await bench.endpoint()];
    await bench.store.make([bench.delivery(good), bench.delivery(bad)], {});
    await bench.pass(2 * MINUTE);
    expect(await read(bench)).toMatchObject({ deliveries: 2, oldestDueAge: age(120) });
    const taken = await bench.store.take({ most: 2, failingMost: 2, leaseMs: MINUTE });
    expect(await read(bench)).toMatchObject({ deliveries: 2, oldestDueAge: 0 });
    for (const { delivery, lease, url } of taken.taken)
      await bench.store.record({
        ...{
          id: delivery.id,
          lease,
          url,
          attempt: { at: Date.now(), ms: 1, status: delivery.receiver === good ? 200 : 500 },
        },
        ...(delivery.receiver === good ? { verdict: 'ok', waitMs: undefined } : { verdict: 'failed', waitMs: WAIT_MS }),
      });
    await bench.pass(10 * MINUTE);
    // Due for long, but its receiver fails.
    expect(await read(bench)).toMatchObject({ deliveries: 1, oldestDueAge: 0 });
  });

  it('of events is what lies in the outbox', async () => {
    await using bench = await openWebhookBench();
    await bench.balance(COST * 100);
    await bench.endpoint();
    const job = await bench.job();
    await bench.jobs.takeTickets(1);
    await bench.end(await bench.call({ job }));
    const { outbox, oldestEventAge } = await read(bench);
    expect(outbox).toBe(1);
    expect(oldestEventAge).toEqual(age(0));
  });
});

describe('what it costs to look', () => {
  it('is bounded, however many keys are held and however many of their jobs were called before', async () => {
    await using server = await startRedisInstance();
    const redis = new Redis(server.url);
    try {
      const prefix = '{cost}:';
      await redis.set(`${prefix}generation`, 'v1.cost');
      const now = Date.now();
      for (let key = 0; key < 40; key++) {
        const filling = redis.pipeline().sadd(`${prefix}parked`, `key:${key}`);
        for (let job = 0; job < 100; job++) {
          const id = `job_${key}x${job}`;
          filling.zadd(`${prefix}parked:key:${key}`, now, id);
          filling.hset(`${prefix}job:${id}`, { status: 'queued', created_at: now - MINUTE, started_at: now });
        }
        // One that is the oldest of all, where each is looked at first.
        filling.zadd(`${prefix}parked:key:${key}`, 0, `job_${key}`);
        filling.hset(`${prefix}job:job_${key}`, { status: 'queued', created_at: now - (60 + key) * MINUTE });
        await filling.exec();
      }
      await redis.config('RESETSTAT');
      const facts = await readInstallation(redis, prefix, 'v1.cost');
      const calls = /cmdstat_hmget:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1];
      expect(Number(calls)).toBeLessThan(1100);
      expect(facts).toMatchObject({ jobs: 40 * 101, oldestJobAge: age(99 * 60) });
    } finally {
      redis.disconnect();
    }
  });
});
