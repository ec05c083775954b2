import { describe, expect, it } from 'vitest';
import { type Bench, COST, openBench } from './bench.ts';

const FLOOR = 10 * COST;
const SLOTS = 3;
const limits = { floor: FLOOR, slots: SLOTS };
const thresholds = { floor: FLOOR, resume: 0, estimate: COST, slots: SLOTS };

/** As many calls as slots end with their cost, and without a word of the balance. */
async function renderBlindly(bench: Bench): Promise<void> {
  for (let i = 0; i < SLOTS; i++) await bench.end(await bench.call(limits));
}

describe('a balance of which nothing tells while calls are billed', () => {
  it('is asked for before more calls than there are slots, and again after as many', async () => {
    await using bench = await openBench();
    await bench.balance(1000 * COST);
    for (let round = 0; round < 3; round++) {
      await renderBlindly(bench);
      expect(await bench.ask(await bench.job(), limits)).toEqual({ verdict: 'probe' });
      await bench.balance(900 * COST);
    }
    expect(await bench.ask(await bench.job(), limits)).toMatchObject({ verdict: 'go' });
  });

  it('is not asked for where answers tell it', async () => {
    await using bench = await openBench();
    await bench.balance(1000 * COST);
    for (let i = 0; i < 10; i++) {
      const call = await bench.call(limits);
      const { seq, startedAt } = call.grant;
      await bench.end(call, { reading: { value: (999 - i) * COST, seq, startedAt } });
    }
    expect(await bench.ask(await bench.job(), limits)).toMatchObject({ verdict: 'go' });
  });

  it('is believed no more when the balance call does not tell it either: with a floor to keep all is held', async () => {
    await using bench = await openBench();
    await bench.balance(1000 * COST);
    await renderBlindly(bench);
    await bench.ledger.takeReading(undefined, await bench.ledger.beginReading(), thresholds);
    expect((await bench.books()).balance).toBeUndefined();
    expect(await bench.ask(await bench.job(), limits)).toMatchObject({ verdict: 'hold', name: 'credits' });
  });

  it('is believed no more: without a floor one call goes at a time', async () => {
    await using bench = await openBench();
    await bench.balance(1000 * COST);
    await renderBlindly(bench);
    await bench.ledger.takeReading(undefined, await bench.ledger.beginReading(), { ...thresholds, floor: 0 });
    const free = { ...limits, floor: 0 };
    for (let i = 0; i < 2 * SLOTS; i++) {
      const call = await bench.call(free);
      expect(await bench.ask(await bench.job(), free)).toMatchObject({ verdict: 'wait', reason: 'drain' });
      await bench.end(call);
    }
  });
});

describe('a hold for an image that was too dear', () => {
  it('ends at the next reading when that image is wanted no more, for what is cheaper', async () => {
    await using bench = await openBench();
    await bench.balance(FLOOR + 2 * COST);
    const dear = await bench.job();
    expect(await bench.ask(dear, { ...limits, estimate: 5 * COST, costClass: 'dear' })).toMatchObject({
      verdict: 'hold',
    });
    const cheap = { ...limits, estimate: COST / 10, costClass: 'cheap' };
    expect(await bench.balance(FLOOR + 2 * COST, { floor: FLOOR })).toEqual({ released: false });
    await bench.jobs.cancel(dear);
    expect(await bench.ask(await bench.job(), cheap)).toMatchObject({ verdict: 'hold' });
    expect(await bench.balance(FLOOR + COST / 2, { floor: FLOOR })).toEqual({ released: true });
    expect(await bench.ask(await bench.job(), cheap)).toMatchObject({ verdict: 'go' });
  });

  it('stands where nothing is left above the floor, and until there is what CREDIT_RESUME asks for', async () => {
    await using bench = await openBench();
    await bench.balance(FLOOR);
    const dear = await bench.job();
    expect(await bench.ask(dear, limits)).toMatchObject({ verdict: 'hold' });
    await bench.jobs.cancel(dear);
    expect(await bench.balance(FLOOR, { floor: FLOOR })).toEqual({ released: false });
    expect(await bench.balance(FLOOR + COST / 2, { floor: FLOOR, resume: FLOOR + COST })).toEqual({ released: false });
    expect(await bench.balance(FLOOR + COST, { floor: FLOOR, resume: FLOOR + COST })).toEqual({ released: true });
  });
});
