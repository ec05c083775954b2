import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, LIMITS, openBench, TRIAL_MS } from './bench.ts';

/** After this long an uncertain call can no longer be billed. */
const RESOLVED_MS = LIMITS.timeoutMs + 31_000;
const SETTINGS = { floor: 0, low: 0, resume: 0 };
const UNCERTAIN = { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } } as const;
const RELEASED = { status: 'queued', settlement: { kind: 'released' } } as const;
const spent = (cost: number) => ({ settlement: { kind: 'spent', cost } }) as const;

async function openAccount(holds = 1000 * COST) {
  const bench = await openBench();
  await bench.ledger.meetUpstream('one', SETTINGS);
  await bench.balance(holds);
  return { ...bench, reconciled: async () => (await bench.books()).reconciliation };
}

describe('our books beside the balance', () => {
  it('are not compared before there are two exact readings, and agree where only we spend', async () => {
    await using bench = await openAccount();
    const nothing = { last: undefined, differences: [], net: 0, unexplained: 0, added: 0 };
    expect(await bench.reconciled()).toEqual(nothing);
    const [call, other] = [await bench.call(), await bench.call()];
    await bench.end(call, spent(3 * COST));
    // Not while a call is in flight.
    await bench.balance(996 * COST);
    expect(await bench.reconciled()).toEqual(nothing);
    await bench.end(other, spent(COST));
    await bench.balance(996 * COST);
    const { last, ...rest } = await bench.reconciled();
    expect(last).toMatchObject({ before: 1000 * COST, spent: 4 * COST, read: 996 * COST, difference: 0 });
    expect(last?.at).toBeGreaterThanOrEqual(last?.from ?? Infinity);
    expect(rest).toEqual({ differences: [], net: 0, unexplained: 0, added: 0 });
  });

  it('tell what others have spent and what was added, each comparison for itself', async () => {
    await using bench = await openAccount();
    await bench.end(await bench.call(), spent(COST));
    await bench.balance(992 * COST);
    await bench.balance(1092 * COST);
    await bench.balance(1091 * COST);
    const { last, differences, net, unexplained, added } = await bench.reconciled();
    expect(differences.map(({ difference }) => difference / COST)).toEqual([1, -100, 7]);
    expect(last).toEqual(differences[0]);
    expect([net, unexplained, added].map((all) => all / COST)).toEqual([-92, 8, 100]);
    for (let i = 0; i < 110; i++) await bench.balance((900 - i) * COST);
    expect((await bench.reconciled()).differences.length).toBe(100);
  });

  it('are exact to the nanocredit, however large the account', async () => {
    await using bench = await openAccount(4_000_000_000_000_003);
    await bench.end(await bench.call(), spent(7));
    await bench.balance(3_999_999_999_999_991);
    const { last } = await bench.reconciled();
    expect(last).toMatchObject({ before: 4_000_000_000_000_003, spent: 7, read: 3_999_999_999_999_991, difference: 5 });
  });

  it('find missing what an uncertain call has cost, and no more once that is told', async () => {
    await using bench = await openAccount();
    const [billed, not] = [await bench.call(), await bench.call()];
    await bench.end(billed, UNCERTAIN);
    await bench.end(not, UNCERTAIN);
    await bench.pass(RESOLVED_MS);
    await bench.balance(998 * COST);
    expect(await bench.reconciled()).toMatchObject({ net: 2 * COST, unexplained: 2 * COST, added: 0 });
    await bench.end(billed, spent(2 * COST));
    await bench.end(not, RELEASED);
    expect(await bench.reconciled()).toMatchObject({ net: 0, unexplained: 0, added: 0 });
    await bench.balance(998 * COST);
    const { last, net } = await bench.reconciled();
    expect([last?.spent, last?.difference, net]).toEqual([0, 0, 0]);
    expect(await bench.books()).toMatchObject({ balance: 998 * COST, spent: 2 * COST, uncertain: 0 });
  });

  it('have nothing unexplained of a call that is told before they are compared', async () => {
    await using bench = await openAccount();
    const call = await bench.call();
    await bench.end(call, UNCERTAIN);
    await bench.pass(RESOLVED_MS);
    const other = await bench.call();
    // An exact reading, but with a call in flight: the balance holds what it cost, and is not compared.
    await bench.balance(999 * COST);
    expect((await bench.books()).uncertain).toBe(0);
    await bench.end(call, spent(COST));
    expect(await bench.reconciled()).toMatchObject({ net: 0, unexplained: 0 });
    await bench.end(other, spent(COST));
    await bench.balance(998 * COST);
    const { last, differences, net } = await bench.reconciled();
    expect(last).toMatchObject({ before: 1000 * COST, spent: 2 * COST, difference: 0 });
    expect([differences, net]).toEqual([[], 0]);
  });

  it('have nothing unexplained of a call that was billed before the first balance was read', async () => {
    await using bench = await openBench();
    await bench.balance(undefined);
    const call = await bench.call();
    await bench.end(call, UNCERTAIN);
    await bench.pass(RESOLVED_MS);
    await bench.balance(999 * COST);
    await bench.end(call, spent(COST));
    await bench.balance(999 * COST);
    const { net, unexplained, added } = (await bench.books()).reconciliation;
    expect([net, unexplained, added]).toEqual([0, 0, 0]);
  });

  it('begin anew at another upstream, and go on at the same one', async () => {
    await using bench = await openAccount();
    await bench.balance(900 * COST);
    await bench.ledger.meetUpstream('one', SETTINGS);
    await bench.balance(890 * COST);
    expect(await bench.reconciled()).toMatchObject({ net: 110 * COST });
    await bench.ledger.meetUpstream('two', SETTINGS);
    await bench.balance(5 * COST);
    expect(await bench.reconciled()).toEqual({ last: undefined, differences: [], net: 0, unexplained: 0, added: 0 });
  });
});

const STEPS = [
  'ask',
  'ask',
  'ask',
  'end',
  'end',
  'doubt',
  'lose',
  'tell',
  'outside',
  'read',
  'read',
  'wait',
  'start',
] as const;

/** An account of which others spend too, and what we and it know of it. */
async function openShared() {
  const bench: Bench = await openBench();
  await bench.ledger.meetUpstream('one', SETTINGS);
  const start = 10_000 * COST;
  const of = { holds: start, spentWhenRead: 0, exact: start };
  await bench.balance(start);
  type Flying = Awaited<ReturnType<Bench['call']>> & { readonly cost: number };
  const flying: Flying[] = [];
  const doubted: Flying[] = [];
  const take = (list: Flying[], n: number) => list.splice(n % Math.max(list.length, 1), 1)[0];
  const read = async () => {
    await bench.balance(of.holds);
    if ((await bench.books()).inFlight === 0) of.exact = of.holds;
  };
  const steps = {
    async ask(n: number) {
      const call = await bench.call({ costClass: `class-${n % 3}` });
      flying.push({ ...call, cost: (n % 5) * COST });
    },
    /** A call is billed and told at once, with a header or without one. */
    async end(n: number) {
      const call = take(flying, n >> 1);
      if (call === undefined) return;
      of.holds -= call.cost;
      const { seq, startedAt } = call.grant;
      await bench.end(call, {
        ...spent(call.cost),
        ...(n % 2 === 0 ? { reading: { value: of.holds, seq, startedAt } } : {}),
      });
    },
    async doubt(n: number) {
      const call = take(flying, n);
      if (call === undefined) return;
      of.holds -= call.cost;
      await bench.end(call, UNCERTAIN);
      doubted.push(call);
    },
    async lose() {
      await bench.pass(LEASE_MS);
      await bench.ledger.reap(TRIAL_MS);
      await bench.ledger.releaseHold('upstream');
      for (const call of flying.splice(0)) {
        of.holds -= call.cost;
        doubted.push(call);
      }
    },
    async tell(n: number) {
      const call = take(doubted, n);
      if (call !== undefined) await bench.end(call, call.cost === 0 ? RELEASED : spent(call.cost));
    },
    async outside(n: number) {
      of.holds += ((n % 7) - 4) * COST;
    },
    read,
    async wait() {
      await bench.pass(RESOLVED_MS);
      await bench.ledger.reap(TRIAL_MS);
      await bench.ledger.releaseHold('upstream');
      for (const call of flying.splice(0)) {
        of.holds -= call.cost;
        doubted.push(call);
      }
      await read();
    },
    async start() {
      await bench.ledger.meetUpstream('one', SETTINGS);
      await read();
    },
  };
  return { ...bench, steps, of, start };
}

describe('whatever was spent, added, lost and told late', () => {
  it('what the account began with, less what we spent, less all differences, is what was read last', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.nat(255)), { minLength: 8, maxLength: 50 }),
        async (steps) => {
          await using bench = await openShared();
          for (const [step, n] of steps) {
            await bench.steps[step](n);
            const { reconciliation: of, inFlight } = await bench.books();
            expect(of.net).toBe(of.unexplained - of.added);
            if (of.last) expect(of.last.before - of.last.spent - of.last.difference).toBe(of.last.read);
            if (of.last) expect(of.last.read).toBe(bench.of.exact);
            if (inFlight > 0 || (step !== 'read' && step !== 'wait' && step !== 'start')) continue;
            const { spent: all, balance } = await bench.books();
            expect(bench.start - all - of.net).toBe(bench.of.holds);
            expect(balance).toBe(bench.of.holds);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
