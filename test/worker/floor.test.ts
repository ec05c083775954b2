import { parseCredits } from '@renderyard/shared/credits/amount';
import { describe, expect, test } from 'vitest';
import { createRig, type Rig } from '../support/rig.ts';

const prompts = (n: number) => Array.from({ length: n }, (_, i) => `picture ${i}`);
/** What one 64×64 image costs, in credits: the price of 1024×1024 by its share of the pixels. */
const PRICE = 0.0138;
const SMALL = (PRICE * (64 * 64)) / (1024 * 1024);

async function untilHeld(rig: Rig): Promise<void> {
  await rig.until('credits are held', async () =>
    (await rig.ledger.holds(Date.now())).some((hold) => hold.name === 'credits'),
  );
  await rig.until('no call is in flight', async () => (await rig.ledger.snapshot(Date.now())).inFlight === 0);
}

describe('the floor', () => {
  test('with credits for two and a half images, two workers of eight slots render two, fail none, and go on after a top-up', async () => {
    await using rig = await createRig({
      workers: 2,
      simulator: { balance: 1 + 2.5 * PRICE, latencyMs: 50 },
      settings: { CREDIT_FLOOR: '1', CREDIT_ESTIMATE: '0.0138', SEGMIND_CONCURRENCY: '16', WORKER_CONCURRENCY: '8' },
    });
    const ids = await rig.submit(prompts(12), { width: 1024, height: 1024 });
    await untilHeld(rig);
    const jobs = await Promise.all(ids.map(rig.job));
    expect(jobs.filter((job) => job.status === 'succeeded').length).toBe(2);
    expect(jobs.filter((job) => job.status === 'failed').length).toBe(0);
    expect((await rig.upstream.ledger()).billed_count).toBe(2);
    await rig.upstream.topUp(1);
    const ended = await rig.ended(ids);
    expect(ended.every((job) => job.status === 'succeeded' && job.attempts === 1)).toBe(true);
    expect((await rig.upstream.ledger()).billed_count).toBe(12);
  });

  test('holds though many askers come at once, and all but at most one image above it are rendered', async () => {
    await using rig = await createRig({
      workers: 3,
      simulator: { balance: 1 + 100 * SMALL, latencyMs: 15, latencyP95Ms: 60 },
      settings: {
        CREDIT_FLOOR: '1',
        CREDIT_ESTIMATE: '0.000216',
        SEGMIND_CONCURRENCY: '24',
        WORKER_CONCURRENCY: '8',
        CREDIT_PROBE_MS: '60000',
      },
    });
    await rig.submit(prompts(130));
    await untilHeld(rig);
    const { balance, billed_count } = await rig.upstream.ledger();
    expect(balance).toBeGreaterThanOrEqual(1);
    expect(billed_count).toBeGreaterThanOrEqual(99);
    expect(billed_count).toBeLessThanOrEqual(100);
  });

  test('is kept when no answer tells the balance: held, with not one call made', async () => {
    await using rig = await createRig({ settings: { CREDIT_FLOOR: '1' } });
    await rig.upstream.fault({ match: { endpoint: 'credits' }, effect: { kind: 'status', status: 404 } });
    await rig.submit(prompts(3));
    await untilHeld(rig);
    expect((await rig.upstream.ledger()).billed_count).toBe(0);
  });

  test('of nothing lets one call at a time go when no answer tells the balance', async () => {
    await using rig = await createRig({ simulator: { latencyMs: 30 } });
    await rig.upstream.fault({ match: { endpoint: 'credits' }, effect: { kind: 'status', status: 404 } });
    await rig.upstream.fault({
      match: { endpoint: 'render' },
      effect: { kind: 'none', headers: { 'x-remaining-credits': null } },
    });
    const jobs = await rig.ended(await rig.submit(prompts(5)));
    expect(jobs.every((job) => job.status === 'succeeded')).toBe(true);
    const calls = (await rig.upstream.allCalls()).filter((call) => call.endpoint === 'render');
    const overlaps = calls.filter((call, i) => i > 0 && Date.parse(call.at) < Date.parse(calls[i - 1]?.ended_at ?? ''));
    expect(overlaps).toEqual([]);
  });

  test('another spender is seen at the next answer, and the work is held', async () => {
    await using rig = await createRig({
      simulator: { balance: 2, latencyMs: 20 },
      settings: { CREDIT_FLOOR: '1', SEGMIND_CONCURRENCY: '4', CREDIT_PROBE_MS: '60000' },
    });
    await rig.ended(await rig.submit(prompts(4)));
    await rig.upstream.spend(1);
    await rig.submit(prompts(30));
    await untilHeld(rig);
    const { billed_count } = await rig.upstream.ledger();
    expect(billed_count).toBeLessThanOrEqual(4 + 4);
  });
});

describe('where answers do not tell the balance', () => {
  test('it is asked for while work goes on, so that another spender is seen long before the next probe', async () => {
    await using rig = await createRig({
      simulator: { balance: 2, latencyMs: 50 },
      settings: { CREDIT_FLOOR: '1', SEGMIND_CONCURRENCY: '2', CREDIT_PROBE_MS: '600000' },
    });
    await rig.upstream.fault({
      match: { endpoint: 'render' },
      effect: { kind: 'none', headers: { 'x-remaining-credits': null } },
    });
    await rig.submit(prompts(600));
    await rig.until('some are rendered', async () => (await rig.upstream.ledger()).billed_count > 4);
    await rig.upstream.spend(1);
    await untilHeld(rig);
    expect((await rig.upstream.ledger()).billed_count).toBeLessThan(500);
  });
});

describe('at rest', () => {
  test('the balance is read again, so that the books agree with the upstream to the last digit', async () => {
    await using rig = await createRig({ workers: 2, simulator: { latencyMs: 20, latencyP95Ms: 80 } });
    await rig.ended(await rig.submit(prompts(40)));
    const { balance_exact } = await rig.upstream.state();
    await rig.until(
      'the books have the balance',
      async () => (await rig.ledger.snapshot(Date.now())).balance === parseCredits(balance_exact, 'down'),
    );
  });

  test('a call whose outcome is unknown counts at its estimate as long as it can still be billed', async () => {
    await using rig = await createRig({ settings: { SEGMIND_TIMEOUT_MS: '1000', UNCERTAIN_RETRIES: '1' } });
    await rig.upstream.fault({ times: 1, effect: { kind: 'cut', by: 'length' } });
    await rig.ended(await rig.submit(['x']));
    const { uncertain, uncertainCalls } = await rig.ledger.snapshot(Date.now());
    expect(uncertain).toBe(uncertainCalls[0]?.estimate);
    expect(uncertainCalls[0]?.resolved).toBe(false);
  });
});

describe('where headers alone tell the balance', () => {
  test('a top-up is noticed without a floor: the upstream itself is asked by one call at times', async () => {
    await using rig = await createRig({ simulator: { balance: 3.5 * PRICE } });
    await rig.upstream.fault({ match: { endpoint: 'credits' }, effect: { kind: 'status', status: 404 } });
    const ids = await rig.submit(prompts(6), { width: 1024, height: 1024 });
    await untilHeld(rig);
    expect((await rig.upstream.ledger()).billed_count).toBe(3);
    await rig.upstream.topUp(1);
    const jobs = await rig.ended(ids);
    expect(jobs.every((job) => job.status === 'succeeded' && job.attempts === 1)).toBe(true);
  });

  test('a floor holds all, and work goes on one call at a time once it is given up', async () => {
    await using rig = await createRig({ settings: { CREDIT_FLOOR: '1' } });
    await rig.upstream.fault({ match: { endpoint: 'credits' }, effect: { kind: 'status', status: 404 } });
    const ids = await rig.submit(prompts(3));
    await untilHeld(rig);
    await rig.ledger.applyDecision({
      ...{ seq: 1, at: 0, by: 'default', action: 'set', changes: [], budgets: {} },
      limits: { floor: { value: 0, over: 1_000_000_000 } },
    });
    const jobs = await rig.ended(ids);
    expect(jobs.every((job) => job.status === 'succeeded')).toBe(true);
  });
});
