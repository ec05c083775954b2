import { createGeneration } from '@renderyard/shared/redis/generation';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, LIMITS, openBench, TRIAL_MS } from './bench.ts';
import { contents } from './keys.ts';

type Call = Awaited<ReturnType<Bench['call']>>;

/** Everything that changes what Redis holds, on a job that waits and a call in flight. */
const STEPS: readonly (readonly [string, (bench: Bench, call: Call, job: string) => Promise<unknown>])[] = [
  ['admit', (bench, _, job) => bench.ask(job)],
  ['admit, asked again', (bench, call) => bench.ask(call.job, { call: call.id })],
  ['renew', (bench, call) => bench.ledger.renew([call.id])],
  ['reap', (bench) => bench.ledger.reap(TRIAL_MS)],
  [
    'takeReading',
    (bench) => bench.ledger.takeReading(5, { seq: 0, startedAt: 0 }, { floor: 0, resume: 0, estimate: 1 }),
  ],
  ['setHold', (bench) => bench.ledger.setHold('operator', 'why')],
  ['create', (bench) => bench.job()],
  ['takeTickets', (bench) => bench.jobs.takeTickets(100)],
  ['retakeTicket', (bench, call) => bench.jobs.retakeTicket(call.job, 1)],
  ['unpark', (bench) => bench.jobs.unpark()],
  ['claim', (bench, call) => bench.jobs.claim({ job: call.job, generation: 1 }, TRIAL_MS)],
  ['record', (bench, call) => bench.end(call)],
  ['cancel', (bench, _, job) => bench.jobs.cancel(job)],
  ['retry', (bench, _, job) => bench.jobs.retry(job, 100)],
  ['sweep', (bench) => bench.jobs.sweep(Date.now() + 1e9)],
];

describe.each([
  ['was emptied of its mark', (bench: Bench) => bench.redis.del(`${bench.prefix}generation`)],
  ['is another one', (bench: Bench) => bench.redis.set(`${bench.prefix}generation`, 'another')],
])('a Redis that %s', (_, lose) => {
  it('is noticed by every step, and nothing is changed', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const call = await bench.call();
    const job = await bench.job();
    await lose(bench);
    await bench.pass(LIMITS.timeoutMs);
    const before = await contents(bench.redis, bench.prefix);
    for (const [name, step] of STEPS) {
      await expect(step(bench, call, job), name).rejects.toThrow(GenerationLostError);
      expect(await contents(bench.redis, bench.prefix), name).toEqual(before);
    }
  });
});

describe('the mark of a Redis', () => {
  it('is one for all that join at once, and known as new only to those who did not know it', async () => {
    await using bench = await openBench();
    const prefix = `${bench.prefix}other:`;
    const generations = Array.from({ length: 10 }, () => createGeneration(bench.redis, prefix));
    expect(await Promise.all(generations.map((generation) => generation.join()))).toEqual(Array(10).fill(true));
    expect(new Set(generations.map(({ current }) => current)).size).toBe(1);
    expect(await generations[0]?.join()).toBe(false);
    await bench.redis.del(`${prefix}generation`);
    expect(await generations[0]?.join()).toBe(true);
    expect(generations[0]?.current).not.toBe(generations[1]?.current);
    expect(await generations[1]?.join()).toBe(true);
    expect(generations[0]?.current).toBe(generations[1]?.current);
  });

  it('is not known before joining, and nothing is asked without it', async () => {
    await using bench = await openBench();
    const generation = createGeneration(bench.redis, `${bench.prefix}other:`);
    expect(() => generation.current).toThrow('not known yet');
  });
});

describe('a script', () => {
  it('works again after Redis has forgotten all scripts', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    await bench.redis.script('FLUSH');
    expect(await bench.ask(await bench.job())).toMatchObject({ verdict: 'go' });
  });
});
