import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COST, openBench } from './bench.ts';
import { createModelAccount } from './model-account.ts';

const FLOOR = 10 * COST;
const STEPS = [
  ...['ask', 'bill', 'tell', 'goOn', 'pass', 'revive', 'passLong', 'beginReading', 'answerReading', 'takeReading'],
  ...['read', 'spendOutside', 'topUp'],
] as const;
type Step = (typeof STEPS)[number];
type Moves = (readonly [Step, number])[];

/** What belongs together, so that chance need not find it: the steps are taken in this order, with others between. */
const MOTIFS: readonly (readonly Step[])[] = [
  ['ask', 'bill', 'tell'],
  ['ask', 'ask', 'bill', 'bill', 'tell', 'tell'],
  ['beginReading', 'answerReading', 'ask', 'bill', 'tell', 'takeReading'],
  ['ask', 'beginReading', 'bill', 'tell', 'answerReading', 'takeReading'],
  ['ask', 'pass', 'goOn', 'bill', 'tell'],
  ['ask', 'pass', 'passLong', 'read', 'tell'],
  ['ask', 'pass', 'revive', 'bill', 'tell'],
  ['beginReading', 'answerReading', 'spendOutside', 'takeReading'],
  ['topUp', 'read'],
];
const moves = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...STEPS).map((step) => [step]) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(...MOTIFS).chain((motif) => fc.subarray([...motif], { minLength: motif.length - 1 })),
  },
);
const run = fc.record({
  above: fc.integer({ min: 0, max: 8 }),
  steps: fc
    .array(moves, { minLength: 3, maxLength: 12 })
    .map((parts) => parts.flat())
    .chain((steps) => fc.tuple(...steps.map((step) => fc.tuple(fc.constant(step), fc.nat(255))))),
});

/**
 * The account is read, and an uncertain call so resolved, while the answer of another call is on its way that knows
 * of less: it was billed before the uncertain one.
 */
const LATE_BILL = {
  above: 4,
  steps: [
    ['ask', 0],
    ['tell', 0],
    ...Array.from({ length: 14 }, () => ['pass', 0] as const),
    ['ask', 0],
    ['bill', 1],
    ['bill', 0],
    ...Array.from({ length: 4 }, () => ['pass', 255] as const),
    ['read', 0],
    ['tell', 7],
  ] as Moves,
};

describe('whatever the order of calls, losses, readings, outside spending and top-ups', () => {
  it('the ledger never believes more to be left than there is, and keeps the floor', async () => {
    await fc.assert(
      fc.asyncProperty(run, async ({ above, steps }) => {
        await using bench = await openBench();
        const model = createModelAccount(bench, { floor: FLOOR, holds: FLOOR + above * COST });
        await model.steps.read();
        for (const [step, n] of steps) {
          await model.steps[step](n);
          const { balance, reserved, uncertain } = await bench.books();
          expect(reserved).toBeGreaterThanOrEqual(0);
          expect(uncertain).toBeGreaterThanOrEqual(0);
          // `left` has every call that may yet be billed taken off.
          expect((balance ?? 0) - reserved - uncertain).toBeLessThanOrEqual(model.left + model.unknown);
          expect(model.account + model.spentOutside).toBeGreaterThanOrEqual(FLOOR);
        }
        await model.steps.passLong();
        await model.steps.pass(0);
        await model.steps.read();
        await model.steps.read();
        expect(await bench.books()).toMatchObject({ balance: model.account, reserved: 0, uncertain: 0, inFlight: 0 });
      }),
      { numRuns: 60, examples: [[LATE_BILL]] },
    );
  });
});
