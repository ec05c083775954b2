import { type Clock, systemClock } from '@renderyard/shared/clock';
import { createAccount } from '@renderyard/simulator/account';
import type { FaultEffect } from '@renderyard/simulator/control-client';
import { showState } from '@renderyard/simulator/control-views';
import { formatCredits, parseCredits } from '@renderyard/simulator/credits';
import { createPainter } from '@renderyard/simulator/image/painter';
import { createUpstream } from '@renderyard/simulator/upstream';
import { createWorld } from '@renderyard/simulator/world';
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { serve } from './serve.ts';
import { KEY, MODEL, type Simulated, SMALL, simulate } from './simulate.ts';
import { drain, open, rawRequest } from './wire.ts';

/** 64 x 64 pixels are 1/256 of a megapixel: with this price, such a render costs 0.0001. */
const PRICE = '0.0256';
const body = JSON.stringify({ ...SMALL, prompt: 'a lighthouse' });

const billedOnce = ({ control, until }: Simulated) => until(async () => (await control.state()).billed_count === 1);
const idle = ({ control, until }: Simulated) => until(async () => (await control.state()).in_flight === 0);

describe('a client that leaves', () => {
  test('within its request is not billed, and shows among the calls', async () => {
    const simulator = await simulate({ price: PRICE });
    const socket = await open(simulator.port);
    // All of the JSON is there, but not all that was announced.
    socket.write(rawRequest(`${body}     `).slice(0, -5));
    await simulator.until(async () => (await simulator.control.state()).in_flight === 1);
    socket.destroy();
    await idle(simulator);
    expect(await simulator.control.state()).toMatchObject({ billed_count: 0, balance_exact: '10', held_exact: '0' });
    const { data } = await simulator.control.calls();
    expect(data).toMatchObject([{ status: null, answer: 'client_gone' }]);
  });

  test('while its image renders is billed, once', async () => {
    const simulator = await simulate({ price: PRICE, latencyMs: 1000 });
    const socket = await open(simulator.port);
    socket.write(rawRequest(body));
    await simulator.until(async () => (await simulator.control.state()).held_exact === '0.0001');
    socket.destroy();
    await billedOnce(simulator);
    await idle(simulator);
    const { data, balance_exact } = await simulator.control.ledger();
    expect(balance_exact).toBe('9.9999');
    expect(data).toMatchObject([{ answer: 'client_gone', cost_exact: '0.0001', balance_after_exact: '9.9999' }]);
    expect((await simulator.control.calls()).data).toMatchObject([{ status: null, answer: 'client_gone' }]);
  });

  test('between billing and the first byte is billed, and nothing was sent until then', async () => {
    const simulator = await simulate({ price: PRICE });
    await simulator.control.fault({ effect: { kind: 'none', delay_after_billing_ms: 60_000 } });
    const socket = await open(simulator.port);
    const received = drain(socket);
    socket.write(rawRequest(body));
    await billedOnce(simulator);
    expect(socket.bytesRead).toBe(0);
    expect((await simulator.control.ledger()).data).toMatchObject([{ answer: 'pending' }]);
    socket.destroy();
    expect((await received).bytes.length).toBe(0);
    await idle(simulator);
    expect((await simulator.control.ledger()).data).toMatchObject([{ answer: 'client_gone' }]);
  });

  test('within the body is billed', async () => {
    const simulator = await simulate({ price: PRICE });
    await simulator.control.fault({ effect: { kind: 'drip', chunk_bytes: 200, interval_ms: 10_000 } });
    const socket = await open(simulator.port);
    socket.write(rawRequest(body));
    await new Promise((resolve) => socket.once('data', resolve));
    expect((await simulator.control.state()).billed_count).toBe(1);
    socket.destroy();
    await idle(simulator);
    expect((await simulator.control.ledger()).data).toMatchObject([{ answer: 'client_gone' }]);
    expect((await simulator.control.calls()).data).toMatchObject([{ status: 200, answer: 'client_gone' }]);
  });
});

describe('the balance', () => {
  test('pays for exactly as many renders as it holds, also when they come at once', async () => {
    const { control, render } = await simulate({ price: PRICE, balance: '0.00125', latencyMs: 30 });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => render(`prompt ${i}`)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(12);
    expect(answers.filter(({ status }) => status === 406)).toHaveLength(8);
    expect(await control.state()).toMatchObject({ billed_count: 12, balance_exact: '0.00005', held_exact: '0' });
    expect((await render('one more')).status).toBe(406);
    expect((await control.topUp('0.00005')).balance_exact).toBe('0.0001');
    expect((await render('one more')).status).toBe(200);
  });

  test('goes below zero by calls in flight when overdrafts are let through', async () => {
    const { control, render } = await simulate({ price: PRICE, balance: '0.0001', latencyMs: 1000, overdraft: true });
    const answers = await Promise.all([1, 2, 3].map((i) => render(`prompt ${i}`)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await control.state()).balance_exact).toBe('-0.0002');
    expect((await render('x')).status).toBe(406);
  });

  test('with overdrafts, keeps nothing from another spender for calls in flight', async () => {
    const simulator = await simulate({ price: PRICE, balance: '0.0003', latencyMs: 1000, overdraft: true });
    const rendered = simulator.render('x');
    await simulator.until(async () => (await simulator.control.state()).held_exact === '0.0001');
    expect(await simulator.control.spend(5)).toMatchObject({ spent_exact: '0.0003', balance_exact: '0' });
    expect((await rendered).headers.get('x-remaining-credits')).toBe('-0.0001');
  });

  test('can be set below what calls in flight hold, and loses its free credits then', async () => {
    const simulator = await simulate({ price: PRICE, freeCredits: 1, latencyMs: 1000 });
    const rendered = simulator.render('x');
    await simulator.until(async () => (await simulator.control.state()).held_exact === '0.0001');
    await simulator.control.setBalance(0);
    expect(await simulator.control.state()).toMatchObject({ free_credits: 0, held_exact: '0.0001' });
    expect((await rendered).headers.get('x-remaining-credits')).toBe('-0.0001');
  });

  test.each([
    ['no credits', { balance: 0 }],
    ['a spend limit', { spendLimit: 0 }],
  ])('with %s refuses calls, which neither count nor warm the model', async (_why, options) => {
    const coldStartMs = 3_600_000;
    let now = 1_000_000;
    const clock: Clock = { now: () => now, sleep: systemClock.sleep };
    const world = createWorld({ ...options, coldStartMs }, clock);
    const upstream = createUpstream({ world: () => world, clock: systemClock, painter: createPainter() });
    const url = await serve(upstream);
    for (let i = 0; i < 3; i++) {
      const response = await fetch(`${url}/v1/${MODEL}`, {
        method: 'POST',
        headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
        body: JSON.stringify({ ...SMALL, prompt: 'x' }),
      });
      expect(response.status).toBe(406);
    }
    expect([world.turns.count('x'), world.ordinals.render]).toEqual([0, 0]);
    // A model warmed by the calls above would have less left to wait for.
    now += 1000;
    expect(world.latency.of(MODEL, 'x', 1)).toBe(coldStartMs);
  });

  test('is told after each render, in the order in which they were billed', async () => {
    const { control, render } = await simulate({ price: PRICE });
    const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => render(`prompt ${i}`)));
    const told = answers.map(({ headers }) => headers.get('x-remaining-credits')).sort();
    const ledger = await control.wholeLedger();
    expect(ledger.map((entry) => entry.balance_after_exact).sort()).toEqual(told);
    expect(ledger.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(ledger.at(-1)?.balance_after_exact).toBe('9.999');
  });

  test('loses to another spender what no call in flight holds, and no more', async () => {
    const simulator = await simulate({ price: PRICE, balance: '0.0003', latencyMs: 1000 });
    const rendered = simulator.render('x');
    await simulator.until(async () => (await simulator.control.state()).held_exact === '0.0001');
    expect(await simulator.control.spend(5)).toMatchObject({ spent_exact: '0.0002', balance_exact: '0.0001' });
    expect((await rendered).headers.get('x-remaining-credits')).toBe('0');
  });

  test('loses to a spender by the second exactly what is due, until nothing is left', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 30 }), (steps) => {
        let now = 1_000_000;
        const clock: Clock = { now: () => now, sleep: () => Promise.resolve() };
        const account = createAccount({ credits: parseCredits(1), freeCredits: 0n, overdraft: false, clock });
        account.spendPerSecond(parseCredits('0.0123456789'));
        for (const step of steps) {
          now += step;
          account.snapshot();
        }
        const due = (123_456_789n * BigInt(now - 1_000_000)) / 1000n;
        const left = parseCredits(1) - due;
        const { balance, spentByOthers } = account.snapshot();
        expect(formatCredits(balance)).toBe(formatCredits(left > 0n ? left : 0n));
        expect(balance + spentByOthers).toBe(parseCredits(1));
      }),
    );
  });
});

describe('while another spender takes credits by the second', () => {
  /** A world whose clock moves a millisecond each time it is read. */
  const ticking = (free: string) => {
    let now = 1_000_000;
    const clock: Clock = { now: () => now++, sleep: () => Promise.resolve() };
    const world = createWorld({ balance: 0, freeCredits: free }, clock);
    world.account.spendPerSecond(parseCredits('0.001'));
    return world;
  };

  test('the amounts of one snapshot belong together', () => {
    const { account } = ticking('0.00005');
    for (let i = 0; i < 100; i++) {
      const { balance, free, spentByOthers } = account.snapshot();
      expect([balance, balance + spentByOthers]).toEqual([free, parseCredits('0.00005')]);
    }
    expect(account.snapshot().balance).toBe(0n);
  });

  test('the state adds up, and no part of it is below zero', () => {
    const world = ticking('0.00005');
    for (let i = 0; i < 100; i++) {
      const { balance_exact, free_credits, spent_by_others_exact } = showState(world);
      expect(free_credits).toBe(Number(balance_exact));
      expect(parseCredits(balance_exact) + parseCredits(spent_by_others_exact)).toBe(parseCredits('0.00005'));
    }
  });

  test('the balance that callers see has no negative part', async () => {
    const world = ticking('0.1');
    const upstream = createUpstream({ world: () => world, clock: systemClock, painter: createPainter() });
    const url = await serve(upstream);
    for (let i = 0; i < 20; i++) {
      const response = await fetch(`${url}/v1/get-user-credits`, { headers: { 'x-api-key': KEY } });
      expect(await response.json()).toMatchObject({ credits: 0 });
    }
    expect(world.account.snapshot().spentByOthers).toBeGreaterThan(0n);
  });
});

test('what the ledger sums up is what the balance lost, whatever calls and faults come at once', async () => {
  const effects: fc.Arbitrary<FaultEffect> = fc.oneof(
    fc.constantFrom<FaultEffect>(
      { kind: 'none', delay_ms: 5 },
      { kind: 'status', status: 502 },
      { kind: 'status', status: 504, billed: true },
      { kind: 'rate_limit' },
      { kind: 'reset' },
      { kind: 'reset', billed: true },
      { kind: 'html' },
      { kind: 'json', billed: false },
      { kind: 'cut', by: 'length' },
      { kind: 'cut', by: 'close', bytes: 10 },
      { kind: 'drip', chunk_bytes: 400, interval_ms: 1 },
    ),
  );
  const calls = fc.array(
    fc.record({
      prompt: fc.constantFrom('a', 'b', 'c', 'd'),
      steps: fc.integer({ min: 10, max: 70 }),
      leavesAfterMs: fc.option(fc.integer({ min: 0, max: 10 })),
    }),
    { minLength: 1, maxLength: 20 },
  );
  const faults = fc.array(fc.record({ effect: effects, probability: fc.double({ min: 0.1, max: 0.9, noNaN: true }) }), {
    maxLength: 4,
  });
  const simulator = await simulate({ balance: '0.003', price: PRICE, priceNoise: 0.1, latencyMs: 2 });
  const { control } = simulator;
  await fc.assert(
    fc.asyncProperty(calls, faults, fc.integer({ min: 0, max: 3 }), async (list, rules, spends) => {
      await control.reset();
      for (const { effect, probability } of rules) await control.fault({ match: { probability }, effect });
      const settled = Promise.allSettled(
        list.map(async ({ prompt, steps, leavesAfterMs }) => {
          const signal = leavesAfterMs === null ? undefined : AbortSignal.timeout(leavesAfterMs);
          return (await simulator.render(prompt, { steps }, signal)).bytes();
        }),
      );
      for (let i = 0; i < spends; i++) await control.spend('0.0002');
      await settled;
      await idle(simulator);
      // A request whose client left at once may arrive after all others have ended; what it costs adds up as well.
      await vi.waitFor(async () => {
        const state = await control.state();
        const ledger = await control.wholeLedger();
        const sum = ledger.reduce((total, entry) => total + parseCredits(entry.cost_exact), 0n);
        expect(formatCredits(sum)).toBe(state.billed_total_exact);
        expect(ledger).toHaveLength(state.billed_count);
        const others = parseCredits(state.spent_by_others_exact);
        expect(formatCredits(parseCredits('0.003') - sum - others)).toBe(state.balance_exact);
        expect(state.held_exact).toBe('0');
        let balance = parseCredits(state.balance_exact);
        expect(balance).toBeGreaterThanOrEqual(0n);
        for (const { balance_after_exact } of ledger.toReversed()) {
          expect(parseCredits(balance_after_exact)).toBeGreaterThanOrEqual(balance);
          balance = parseCredits(balance_after_exact);
        }
        expect(ledger.filter(({ answer }) => answer === 'pending')).toEqual([]);
      });
    }),
    { numRuns: 25 },
  );
});
