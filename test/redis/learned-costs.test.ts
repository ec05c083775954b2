import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COST, openBench } from './bench.ts';

const learnedFrom = async (costs: readonly number[]) => {
  await using bench = await openBench();
  await bench.balance(1_000_000 * COST);
  for (const cost of costs) {
    const call = await bench.call();
    await bench.end(call, { settlement: { kind: 'spent', cost } });
  }
  return [...(await bench.books()).estimates.values()][0];
};

describe('what a call is expected to cost', () => {
  it('is exactly what they cost, where they all cost the same', async () => {
    expect(await learnedFrom([COST])).toBe(COST);
    expect(await learnedFrom(Array.from({ length: 70 }, () => COST))).toBe(COST);
  });

  it('is the 95th percentile of the last 64, and never less than the last', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 20 * COST }), { minLength: 1, maxLength: 90 }),
        async (costs) => {
          const last = costs.slice(-64).sort((a, b) => a - b);
          const percentile = last[Math.ceil(last.length * 0.95) - 1] ?? 0;
          expect(await learnedFrom(costs)).toBe(Math.max(percentile, costs.at(-1) ?? 0));
        },
      ),
      { numRuns: 20 },
    );
  });

  it('forgets the classes used least lately, beyond a thousand', async () => {
    await using bench = await openBench();
    await bench.balance(100_000 * COST);
    for (let i = 0; i < 1010; i++) await bench.end(await bench.call({ costClass: `class-${i}`, slots: 2000 }));
    const { estimates } = await bench.books();
    expect(estimates.size).toBe(1000);
    expect(estimates.has('class-1009')).toBe(true);
    expect(await bench.redis.hlen(`${bench.prefix}costs`)).toBe(1000);
  });

  it('does not follow a cost that can only be garbage, but two that are as high', async () => {
    expect(await learnedFrom([500 * COST])).toBe(20 * COST);
    expect(await learnedFrom([500 * COST, 300 * COST])).toBe(300 * COST);
    expect(await learnedFrom([500 * COST, COST, 300 * COST])).toBe(20 * COST);
    expect(await learnedFrom([50_000 * COST])).toBeUndefined();
    expect(await learnedFrom([0])).toBeUndefined();
    expect(await learnedFrom([COST, 0])).toBe(COST);
  });
});
