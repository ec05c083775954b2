import { backoff, MOST_BACKOFF_MS } from '@renderyard/worker/render/backoff';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const tries = fc.integer({ min: 1, max: 10_000 });
const base = fc.integer({ min: 1, max: 600_000 });

describe('backoff', () => {
  it('is a whole number of milliseconds from nothing to base × 2^(tries − 1), a minute at most', () => {
    fc.assert(
      fc.property(tries, base, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (count, ms, drawn) => {
        const wait = backoff(count, ms, () => drawn);
        expect(Number.isInteger(wait)).toBe(true);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(Math.min(MOST_BACKOFF_MS, ms * 2 ** (count - 1)));
      }),
    );
  });

  it('doubles with each try until it is a minute', () => {
    const most = (count: number) => backoff(count, 2000, () => 1 - Number.EPSILON);
    expect([1, 2, 3, 4, 5, 6, 7].map(most)).toEqual([2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    expect(most(5000)).toBe(60_000);
  });

  it('is drawn evenly over its whole range: full jitter', () => {
    const drawn = Array.from({ length: 4000 }, () => backoff(3, 1000));
    const tenths = new Set(drawn.map((ms) => Math.min(9, Math.floor(ms / 400))));
    expect(tenths.size).toBe(10);
    const mean = drawn.reduce((sum, ms) => sum + ms, 0) / drawn.length;
    // The mean's deviation is 18 ms; eight of them are met once in 10^15 runs.
    expect(Math.abs(mean - 2000)).toBeLessThan(150);
  });
});
