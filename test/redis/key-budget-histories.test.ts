import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Call, openBatchBench } from './batch-bench.ts';
import { COST, LIMITS, TRIAL_MS } from './bench.ts';

const DAY_MS = 86_400_000;
const RESOLVED_MS = LIMITS.timeoutMs + 30_000;
const ACCOUNTS = ['acme', 'other'] as const;
const COSTS = [COST, COST / 2, 3 * COST];
const STEPS = ['ask', 'ask', 'ask', 'ask', 'spend', 'spend', 'doubt', 'release', 'lose', 'tell', 'feed'] as const;

interface Made extends Call {
  readonly cost: number;
  readonly account: string;
}

/** Several clients make calls for single jobs and rows of two keys. Every call costs what it was expected to. */
async function openKeys(budgets: Readonly<Record<string, { day: number; total: number }>>) {
  const bench = await openBatchBench();
  await bench.balance(10_000 * COST);
  await bench.ledger.applyDecision({ seq: 1, at: 1, by: 'acme', action: 'set', changes: [], limits: {}, budgets });
  const clients = await Promise.all([bench.connect(), bench.connect(), bench.connect()]);
  const flying: Made[] = [];
  const doubted: Made[] = [];
  const rows: string[] = [];
  let made = 0;
  for (const account of ACCOUNTS) await bench.open(40, { account });
  const take = (list: Made[], n: number) => list.splice(n % Math.max(list.length, 1), 1)[0];
  const end = async (call: Made | undefined, kind: 'spent' | 'uncertain' | 'released', how = 'timeout') => {
    if (call === undefined) return;
    const settlement = kind === 'spent' ? { kind, cost: call.cost } : kind === 'released' ? { kind } : { kind, how };
    const row = call.job.includes('_', 4) ? { row: await bench.rowEnd(call.job) } : {};
    const status = kind === 'spent' ? 'succeeded' : 'queued';
    await bench.end(call, { status, settlement, ...row });
  };
  const steps = {
    async feed() {
      for (const { job } of await bench.jobs.takeTickets(8)) if (job.includes('_', 4)) rows.push(job);
    },
    async ask(n: number) {
      const account = ACCOUNTS[n % 2] ?? 'acme';
      const row = n % 3 === 0 ? rows.pop() : undefined;
      const job = row ?? (await bench.job({ account }));
      const owner = (await bench.jobs.get(job))?.account ?? account;
      const call = { id: `call-${made++}`, job, cost: COSTS[n % 5] ?? COST, account: owner };
      const client = clients[n % clients.length] ?? bench;
      const asked = {
        job,
        call: call.id,
        worker: call.id,
        model: 'm',
        costClass: `c-${call.cost}`,
        estimate: call.cost,
      };
      const { verdict } = await client.ledger.admit(asked, LIMITS);
      if (verdict === 'go') flying.push(call);
    },
    spend: (n: number) => end(take(flying, n), 'spent'),
    release: (n: number) => end(take(flying, n), 'released'),
    async doubt(n: number) {
      const call = take(flying, n);
      await end(call, 'uncertain');
      if (call !== undefined) doubted.push(call);
    },
    /** Workers die; their jobs are told, or are never heard of again. */
    async lose(n: number) {
      await bench.pass(LEASE_MS);
      await bench.ledger.reap(TRIAL_MS);
      for (const [i, call] of flying.splice(0).entries()) {
        if ((n >> (i % 8)) & 1) await end(call, 'uncertain', 'lost_worker');
        doubted.push(call);
      }
      await bench.ledger.releaseHold('upstream');
    },
    tell: (n: number) => end(take(doubted, n >> 1), n % 2 === 0 ? 'spent' : 'released'),
  };
  return { ...bench, steps, flying };
}

describe('whatever the order of calls and their ends, over several clients at once', () => {
  it('no key spends more than its budgets, and nothing stays reserved for ever', { timeout: 120_000 }, async () => {
    const amount = fc.integer({ min: 0, max: 12 }).map((images) => images * COST + COST / 4);
    const budget = fc.record({ day: amount, total: amount });
    const together = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(255)), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.record({ acme: budget, other: budget }),
        fc.array(fc.oneof({ weight: 9, arbitrary: together }, { weight: 1, arbitrary: fc.constant('day' as const) }), {
          minLength: 5,
          maxLength: 15,
        }),
        async (budgets, rounds) => {
          await using bench = await openKeys(budgets);
          const within = async () => {
            const { keys } = await bench.books();
            for (const account of ACCOUNTS) {
              const { total, day, reserved } = keys.get(account) ?? { total: 0, day: 0, reserved: 0 };
              expect(reserved).toBeGreaterThanOrEqual(0);
              expect(day).toBeGreaterThanOrEqual(0);
              expect(total + reserved).toBeLessThanOrEqual(budgets[account].total);
              expect(day + reserved).toBeLessThanOrEqual(budgets[account].day);
            }
          };
          for (const round of rounds) {
            if (round === 'day') await bench.pass(DAY_MS);
            // A loss moves time, which the others would not see in one piece.
            else if (round.some(([step]) => step === 'lose')) for (const [step, n] of round) await bench.steps[step](n);
            else await Promise.all(round.map(([step, n]) => bench.steps[step](n)));
            await within();
          }
          while (bench.flying.length > 0) await bench.steps.spend(0);
          await bench.pass(RESOLVED_MS);
          await bench.ledger.reap(TRIAL_MS);
          await bench.balance(10_000 * COST);
          const left = (await bench.books()).uncertainCalls.map(({ job }) => job);
          const gone = left.flatMap((job) => [
            `${bench.prefix}job:${job}`,
            `${bench.prefix}batch:bat_${job.split('_')[1]}`,
          ]);
          if (gone.length > 0) await bench.redis.del(...gone);
          await bench.jobs.sweep(0);
          const { keys, reserved, uncertainCalls } = await bench.books();
          expect([reserved, uncertainCalls]).toEqual([0, []]);
          expect([...keys.values()].map((key) => key.reserved)).toEqual(ACCOUNTS.map(() => 0));
          await within();
        },
      ),
      { numRuns: 40 },
    );
  });
});
