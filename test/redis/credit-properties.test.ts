import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COST } from './bench.ts';
import { anyRun, type Played, play } from './credit-runs.ts';

/** More runs than the suite has time for: FAST_CHECK_RUNS=5000, and FAST_CHECK_SEED=1 for the same ones again. */
const RUNS = process.env.FAST_CHECK_RUNS === undefined ? undefined : Number(process.env.FAST_CHECK_RUNS);
const SEED = process.env.FAST_CHECK_SEED === undefined ? {} : { seed: Number(process.env.FAST_CHECK_SEED) };
const TIME_MS = RUNS === undefined ? 60_000 : 1000 * RUNS;

/** How many runs there were, and what became of them; runs that never come near the floor would say nothing of it. */
function createTally(runs: number) {
  const all: Played[] = [];
  return {
    add: (played: Played) => void all.push(played),
    check() {
      const calls = all.reduce((sum, played) => sum + played.calls, 0);
      const near = all.filter(({ lowest }) => lowest < 2 * COST).length;
      const below = all.filter(({ deepest }) => deepest > 0).length;
      if (RUNS !== undefined)
        process.stdout.write(`${JSON.stringify({ runs: all.length, calls, near, below, seed: SEED.seed })}\n`);
      expect(all.length).toBeGreaterThanOrEqual(runs);
      expect(calls).toBeGreaterThan(runs);
      expect(near).toBeGreaterThan(runs / 5);
    },
  };
}

const SUITES = [
  { what: 'one at a time', together: false, noisy: false, runs: 35 },
  { what: 'one at a time, at costs unforeseen', together: false, noisy: true, runs: 30 },
  { what: 'at once', together: true, noisy: false, runs: 100 },
  { what: 'at once, at costs unforeseen', together: true, noisy: true, runs: 60 },
] as const;

describe('the floor is kept, and the books are right, whatever becomes of calls, leases, readings and the account', () => {
  it.each(SUITES)(
    'by clients that act $what',
    async ({ together, noisy, runs }) => {
      const tally = createTally(RUNS ?? runs);
      await fc.assert(
        fc.asyncProperty(anyRun({ noisy }), async (run) => tally.add(await play(run, { together }))),
        // What was up to chance is not made smaller by chance.
        { numRuns: RUNS ?? runs, endOnFailure: together, ...SEED },
      );
      tally.check();
    },
    TIME_MS,
  );
});
