import { CREDIT_TRANSITIONS, type CreditStateName } from '@renderyard/shared/credits/credit-state';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, openBench, TRIAL_MS } from './bench.ts';

const FLOOR = 4 * COST;
const LOWS = [0, 8 * COST, 12 * COST];
const RESUMES = [0, 10 * COST, 15 * COST];
type Call = Awaited<ReturnType<Bench['call']>>;

/** What workers and people do to an account, by chance: `n` picks among what there is. */
function createActors(bench: Bench) {
  const calls: Call[] = [];
  let seq = 0;
  let limits = { low: 8 * COST, resume: 10 * COST };
  const thresholds = () => ({ floor: FLOOR, resume: limits.resume });
  const take = (n: number) => calls.splice(n % Math.max(calls.length, 1), 1)[0];
  const settings = (n: number) => {
    limits = { low: LOWS[n % 3] ?? 0, resume: RESUMES[(n >> 2) % 3] ?? 0 };
    return { floor: FLOOR, ...limits };
  };
  const end = async (n: number, settlement: Parameters<Bench['end']>[1]) => {
    const call = take(n);
    if (call !== undefined) await bench.end(call, settlement);
  };
  const steps = {
    async ask(n: number) {
      const job = await bench.job();
      const id = `call-${job}`;
      const estimate = (n % 4 === 0 ? 5 : 1) * COST;
      const grant = await bench.ask(job, { call: id, costClass: `class-${n % 4}`, estimate, floor: FLOOR });
      if (grant.verdict === 'go') calls.push({ id, job, grant });
    },
    spend: (n: number) => end(n >> 2, { settlement: { kind: 'spent', cost: (n % 4) * COST } }),
    release: (n: number) => end(n, { status: 'queued', settlement: { kind: 'released' } }),
    doubt: (n: number) => end(n, { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } }),
    refuse: (n: number) =>
      end(n, { status: 'queued', settlement: { kind: 'released' }, refusal: { hold: 'credits', detail: 'Refused.' } }),
    read: (n: number) => bench.balance((n % 25) * COST, thresholds()),
    unread: () => bench.balance(undefined, thresholds()),
    unreachable: () => bench.ledger.setHold('credits', 'Unread.', { unread: true }),
    noCredits: (n: number) => bench.ledger.setHold('credits', 'Refused.', n % 2 === 0 ? { trialMs: TRIAL_MS } : {}),
    trial: () => bench.pass(TRIAL_MS),
    lose: async () => {
      await bench.pass(LEASE_MS);
      await bench.ledger.reap(TRIAL_MS);
      await bench.ledger.releaseHold('upstream');
    },
    renew: (n: number) => bench.ledger.renew(calls.filter((_, i) => ((n >> (i % 8)) & 1) === 1).map(({ id }) => id)),
    wait: async (n: number) => {
      await bench.pass(n % 2 === 0 ? 16_000 : 300_000);
      await bench.ledger.reap(TRIAL_MS);
      await bench.ledger.releaseHold('upstream');
    },
    start: (n: number) => bench.ledger.meetUpstream('one', settings(n)),
    move: async (n: number) => {
      await bench.ledger.meetUpstream(`upstream-${n % 2}`, settings(n));
      await bench.ledger.resume();
    },
    resume: () => bench.ledger.resume(),
    decide: (n: number) =>
      bench.ledger.applyDecision({
        seq: ++seq,
        at: 1,
        by: 'acme',
        action: 'set',
        changes: [],
        limits: n % 2 === 0 ? {} : { low: { value: LOWS[(n >> 1) % 3] ?? 0, over: limits.low } },
        budgets: {},
      }),
  };
  return steps;
}
type Step = keyof ReturnType<typeof createActors>;
const STEPS: readonly Step[] = [
  ...['ask', 'ask', 'ask', 'spend', 'spend', 'release', 'doubt', 'refuse', 'refuse', 'read', 'read', 'unread'],
  ...['unreachable', 'noCredits', 'trial', 'lose', 'renew', 'wait', 'start', 'move', 'resume', 'decide'],
] as Step[];

/** What is to be seen of an account, whatever was done to it: `before` as it was one step ago. */
async function expectInOrder(bench: Bench, before: { readonly rests: CreditStateName; readonly events: number }) {
  const { state, balance, uncertain, holds, limits, inFlight } = await bench.books();
  const events = [...(await bench.ledger.events({ limit: 2000 }))].reverse();
  const recent = events.slice(before.events);
  const { low, resume } = { low: limits.low?.value, resume: limits.resume?.value ?? 0 };

  expect(state === 'held').toBe(holds.some(({ name }) => name === 'credits'));
  const waits = (await bench.redis.hexists(`${bench.prefix}credits`, 'drain')) === 1;
  expect(state === 'draining').toBe(waits);
  if (balance !== undefined && low !== undefined) {
    const left = balance - uncertain;
    const enough = Math.max(low, resume);
    const moved = recent.some(({ cause }) => cause === 'upstream_changed');
    if (state === 'open') expect(left).toBeGreaterThanOrEqual(before.rests === 'low' && !moved ? enough : low);
    if (state === 'low') expect(left).toBeLessThan(before.rests === 'low' ? enough : low);
  }
  expect(inFlight).toBeGreaterThanOrEqual(0);
  let at: CreditStateName = 'open';
  let toldLow = false;
  for (const { from, to, cause, type } of events) {
    expect(from).toBe(at);
    expect(CREDIT_TRANSITIONS.some((one) => one.from === from && one.to === to && one.causes.includes(cause))).toBe(
      true,
    );
    const told = to === 'low' && from !== 'held' && !toldLow ? 'credits.low' : undefined;
    expect(type).toBe(to === 'held' ? 'credits.held' : from === 'held' ? 'credits.resumed' : told);
    toldLow = to === 'low' || (toldLow && to !== 'open');
    at = to;
  }
  expect(at).toBe(state);
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  return { rests: state === 'open' || state === 'low' ? state : before.rests, events: events.length };
}

describe('whatever happens to an account', () => {
  it('its state is what stands, and each change of it is told once', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(255)), { minLength: 10, maxLength: 50 }),
        async (steps) => {
          await using bench = await openBench();
          await bench.ledger.meetUpstream('one', { floor: FLOOR, low: 8 * COST, resume: 10 * COST });
          await bench.balance(20 * COST, { floor: FLOOR, resume: 10 * COST });
          const actors = createActors(bench);
          let before: Awaited<ReturnType<typeof expectInOrder>> = { rests: 'open', events: 0 };
          for (const [step, n] of steps) {
            await actors[step](n);
            before = await expectInOrder(bench, before);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
