import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BatchActors, createBatchActors } from './batch-actors.ts';
import { openBatchBench } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';

const STEPS = [
  ...[
    'open',
    'single',
    'take',
    'work',
    'end',
    'askLate',
    'park',
    'pause',
    'resume',
    'cancel',
    'retry',
    'replay',
    'adopt',
  ],
  ...['reopen', 'pass', 'hold', 'release', 'repair', 'takeFlush', 'read', 'write', 'endFlush', 'complete', 'flush'],
] as const satisfies readonly (keyof BatchActors['steps'])[];
type Step = (typeof STEPS)[number];

/** Ways through the states, so that chance need not find them: a step of each may be left out. */
const MOTIFS: readonly (readonly Step[])[] = [
  ['take', 'work', 'end'],
  ['take', 'work', 'work', 'work', 'end', 'end', 'end'],
  ['take', 'work', 'pass', 'work', 'end'],
  ['take', 'work', 'pass', 'pause', 'work', 'end', 'resume', 'take', 'work', 'end'],
  ['take', 'work', 'end', 'pause', 'work', 'cancel', 'pass', 'flush', 'end'],
  ['take', 'work', 'pass', 'cancel', 'work', 'pass', 'flush', 'end'],
  ['take', 'work', 'end', 'retry', 'take', 'work', 'end', 'flush'],
  ['work', 'end', 'pass', 'takeFlush', 'read', 'work', 'end', 'write', 'complete', 'endFlush'],
  ['pass', 'takeFlush', 'read', 'pass', 'takeFlush', 'read', 'write', 'write', 'endFlush'],
  ['hold', 'work', 'park', 'take', 'release', 'take'],
  ['adopt', 'take', 'work', 'adopt', 'end'],
  ['pause', 'work', 'replay', 'resume', 'take', 'askLate', 'end'],
];
const moves = fc
  .array(
    fc.oneof(
      fc.constantFrom<Step>(...STEPS).map((step): Step[] => [step]),
      fc.constantFrom(...MOTIFS).chain((motif) => fc.subarray([...motif], { minLength: motif.length - 1 })),
    ),
    { minLength: 4, maxLength: 14 },
  )
  .map((parts) => parts.flat())
  .chain((steps) => fc.tuple(...steps.map((step) => fc.tuple(fc.constant(step), fc.nat(1023)))));

describe('after any steps of clients, workers, feeders and flushers', () => {
  it('each row is in one place, every counter is true, and in the end each row has ended exactly once', async () => {
    await fc.assert(
      fc.asyncProperty(moves, async (taken) => {
        await using bench = await openBatchBench();
        await bench.balance(1e13);
        const actors = createBatchActors(bench);
        await actors.steps.open(6);
        await actors.steps.open(13);
        for (const [index, [step, n]] of taken.entries()) {
          try {
            await actors.steps[step](n);
            await expectBatchesInOrder(bench, actors.batches);
            await actors.expectBooksInOrder();
          } catch (error) {
            throw new Error(`after step ${index}, ${step}(${n})`, { cause: error });
          }
        }
        await actors.driveToTheEnd();
        await expectBatchesInOrder(bench, actors.batches);
        await actors.expectBooksInOrder();
        for (const job of actors.singles) expect((await bench.jobs.get(job))?.status).toMatch(/succeeded|failed/);
      }),
      { numRuns: 40, interruptAfterTimeLimit: 30_000 },
    );
  }, 180_000);
});
