import { describe, expect, it } from 'vitest';
import { COST, openBench } from './bench.ts';

const learnedFrom = async (costs: readonly number[]) => {
  await using bench = await openBench();
  await bench.balance(1000 * COST);
  for (const cost of costs) {
    const call = await bench.call();
    await bench.end(call, { settlement: { kind: 'spent', cost } });
  }
  return [...(await bench.books()).estimates.values()][0];
};

describe('what a call is expected to cost', () => {
  it('is what the last of its class did, and never less than the dearest lately by more than a fiftieth a call', async () => {
    expect(await learnedFrom([COST])).toBe(COST);
    expect(await learnedFrom([2 * COST])).toBe(2 * COST);
    expect(await learnedFrom([2 * COST, COST])).toBe(Math.floor(2 * COST * 0.98));
  });

  it('does not follow a cost that can only be garbage', async () => {
    expect(await learnedFrom([500 * COST])).toBe(20 * COST);
    expect(await learnedFrom([50_000 * COST])).toBeUndefined();
    expect(await learnedFrom([0])).toBeUndefined();
    expect(await learnedFrom([COST, 0])).toBe(COST);
  });
});
