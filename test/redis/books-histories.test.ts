import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Call, openBatchBench } from './batch-bench.ts';
import { COST, LIMITS, TRIAL_MS } from './bench.ts';

const HOUR_MS = 3_600_000;
const ACCOUNTS = ['acme', 'other'] as const;
const STEPS = [
  'ask',
  'ask',
  'ask',
  'ask',
  'render',
  'render',
  'fail',
  'doubt',
  'release',
  'lose',
  'goOn',
  'tell',
  'cancel',
  'feed',
] as const;
type Settlement = NonNullable<Parameters<Awaited<ReturnType<typeof openBatchBench>>['endRow']>[1]>;
const isRow = (job: string) => job.includes('_', 4);

/** Several clients render jobs and rows of two keys, at any cost. */
async function openWork() {
  const bench = await openBatchBench();
  await bench.balance(100_000 * COST);
  const clients = await Promise.all([bench.connect(), bench.connect()]);
  const batches = [await bench.open(30), await bench.open(30, { account: 'other' })];
  const singles: string[] = [];
  const waiting: string[] = [];
  const flying: Call[] = [];
  const doubted: Call[] = [];
  let made = 0;
  const take = <T>(list: T[], n: number) => list.splice(n % Math.max(list.length, 1), 1)[0];
  const end = async (call: Call | undefined, ending: Settlement) => {
    if (call === undefined) return;
    const row = isRow(call.job) ? { row: await bench.rowEnd(call.job) } : {};
    await bench.end(call, { ...ending, ...row });
    // Whether it is asked for again or has ended: whoever asks is told.
    waiting.push(call.job);
  };
  const cost = (n: number) => ((n % 7) * COST) / 4;
  const doubt = (how: string) => ({ status: 'queued', settlement: { kind: 'uncertain', how } }) as const;
  const spent = (n: number, status: 'succeeded' | 'failed') =>
    ({ status, settlement: { kind: 'spent', cost: n % 9 === 0 ? undefined : cost(n) } }) as const;
  const steps = {
    async feed() {
      for (const { job } of await bench.jobs.takeTickets(6)) if (isRow(job)) waiting.push(job);
    },
    async ask(n: number) {
      const account = ACCOUNTS[n % 2] ?? 'acme';
      const again = n % 3 === 0 ? undefined : take(waiting, n);
      const job = again ?? (await bench.job({ account }));
      if (again === undefined) singles.push(job);
      const id = `call-${made++}`;
      const { ledger } = clients[n % clients.length] ?? bench;
      const asked = { job, call: id, worker: id, model: 'm', costClass: `c-${n % 5}`, estimate: COST };
      const { verdict } = await ledger.admit(asked, LIMITS);
      if (verdict === 'go') flying.push({ id, job });
    },
    render: (n: number) => end(take(flying, n), spent(n, 'succeeded')),
    async fail(n: number) {
      const error = { code: 'upstream_rejected', detail: 'No.' } as const;
      await end(take(flying, n), { ...spent(n, 'failed'), error });
    },
    release: (n: number) => end(take(flying, n), { status: 'queued', settlement: { kind: 'released' } }),
    async doubt(n: number) {
      const call = take(flying, n);
      await end(call, doubt('timeout'));
      if (call !== undefined) doubted.push(call);
    },
    async lose() {
      await bench.pass(LEASE_MS);
      await bench.ledger.reap(TRIAL_MS);
      await bench.ledger.releaseHold('upstream');
      doubted.push(...flying.splice(0));
    },
    /** The next run of a job finds a call that was lost. */
    async goOn(n: number) {
      await end(doubted[n % Math.max(doubted.length, 1)], doubt('lost_worker'));
    },
    tell: (n: number) =>
      end(
        take(doubted, n >> 1),
        n % 2 === 0 ? spent(n, 'succeeded') : { status: 'queued', settlement: { kind: 'released' } },
      ),
    async cancel(n: number) {
      const job = singles[n % Math.max(singles.length, 1)];
      if (job !== undefined) await bench.jobs.cancel(job);
    },
  };
  return { ...bench, steps, batches, singles, flying, doubted };
}

/** What the books must be: what every job and every batch has cost and brought. */
async function expectBooksInOrder(work: Awaited<ReturnType<typeof openWork>>) {
  const books = await work.ledger.books({ fromHour: 0, toHour: 1e9 });
  const sum = (of: string | undefined, account?: string) => {
    const entries = books.filter((entry) => entry.batch === of && (account === undefined || entry.account === account));
    return entries.reduce((all, entry) => [(all[0] ?? 0) + entry.credits, (all[1] ?? 0) + entry.images], [0, 0]);
  };
  const { keys } = await work.books();
  const jobs = await Promise.all(work.singles.map((id) => work.jobs.get(id)));
  for (const [i, account] of ACCOUNTS.entries()) {
    const own = jobs.filter((job) => job?.account === account);
    const cost = own.reduce((all, job) => all + (job?.cost ?? 0), 0);
    expect(sum(undefined, account)[0]).toBe(cost);
    const batch = await work.state(work.batches[i] ?? '');
    expect(sum(batch.id)).toEqual([batch.cost, batch.succeeded]);
    expect(keys.get(account)?.total ?? 0).toBe(cost + batch.cost);
  }
  const rendered = jobs.filter((job) => job?.status === 'succeeded').length;
  const canceled = jobs.filter((job) => job?.status === 'canceled').length;
  const images = sum(undefined)[1] ?? 0;
  expect(images).toBeGreaterThanOrEqual(rendered);
  expect(images).toBeLessThanOrEqual(rendered + canceled);
}

describe('whatever the order of calls, their ends and what is told of them late', () => {
  it('the books add up to what jobs and batches have cost, and to what keys have spent', {
    timeout: 120_000,
  }, async () => {
    const step = fc.tuple(fc.constantFrom(...STEPS), fc.nat(255));
    const together = fc.array(step, { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof({ weight: 8, arbitrary: together }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 30 }) }),
          {
            minLength: 6,
            maxLength: 20,
          },
        ),
        async (rounds) => {
          await using work = await openWork();
          for (const round of rounds) {
            if (typeof round === 'number') {
              await work.pass(round * HOUR_MS);
              await work.ledger.reap(TRIAL_MS);
              await work.ledger.releaseHold('upstream');
              work.doubted.push(...work.flying.splice(0));
            } else if (round.some(([name]) => name === 'lose'))
              for (const [name, n] of round) await work.steps[name](n);
            else await Promise.all(round.map(([name, n]) => work.steps[name](n)));
            await expectBooksInOrder(work);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
