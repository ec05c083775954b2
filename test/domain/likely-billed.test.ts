import { likelyBilled } from '@renderyard/api/credits/likely-billed';
import type { UncertainCall } from '@renderyard/shared/credits/credit-books';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const call = (name: string, known: Partial<UncertainCall> = {}): UncertainCall => ({
  ...{
    call: name,
    job: `job_${name}`,
    account: 'ann',
    model: 'm',
    startedAt: 1,
    at: 2,
    how: 'timeout',
    billableUntil: 3,
  },
  ...{ estimate: 20, resolved: true, balanceNet: 0, balanceNetThen: undefined },
  ...known,
});
/** Judges calls that could be billed no more when so much had gone, unless they say otherwise. */
const judge = (net: number, ...calls: UncertainCall[]) => [
  ...likelyBilled(calls.map((each) => ({ ...each, balanceNetThen: each.balanceNetThen ?? net }))).values(),
];

test.each([
  [0, 'not_billed'],
  [9, 'not_billed'],
  [-9, 'not_billed'],
  [10, 'billed'],
  [20, 'billed'],
  [30, 'billed'],
  [31, 'unknown'],
  [500, 'unknown'],
  // A top-up that no reading told from it.
  [-10, 'unknown'],
])('a call of 20 since which %i went unexplained: %s', (net, likely) => {
  expect(judge(net, call('a'))).toEqual([likely]);
  expect(judge(1000 + net, call('a', { balanceNet: 1000 }))).toEqual([likely]);
});

test('nothing is said of a call that may be billed still, or that was found out in a Redis that is gone', () => {
  expect(judge(20, call('a', { resolved: false }))).toEqual(['unknown']);
  expect(judge(20, call('a', { balanceNet: undefined }))).toEqual(['unknown']);
  expect([...likelyBilled([call('a')]).values()]).toEqual(['unknown']);
});

test('what went when it could be billed no more says nothing of a call', () => {
  expect(judge(20, call('a', { balanceNetThen: 0 }), call('b', { balanceNet: 20 }))).toEqual([
    'not_billed',
    'not_billed',
  ]);
  expect(judge(900, call('a', { balanceNetThen: 20 }))).toEqual(['billed']);
});

test('of two calls that ended at different readings, one is not told for the other', () => {
  const [first, second] = [call('a', { balanceNetThen: 20 }), call('b', { balanceNetThen: 40 })];
  expect(judge(0, first, second)).toEqual(['unknown', 'billed']);
  expect(judge(0, first, { ...second, balanceNetThen: 20 })).toEqual(['unknown', 'unknown']);
});

test('calls between the same two readings are billed together, not billed together, or unknown', () => {
  const both = [call('a'), call('b', { estimate: 40 })];
  expect(judge(0, ...both)).toEqual(['not_billed', 'not_billed']);
  expect(judge(60, ...both)).toEqual(['billed', 'billed']);
  expect(judge(70, ...both)).toEqual(['billed', 'billed']);
  expect(judge(71, ...both)).toEqual(['unknown', 'unknown']);
  // One of the two, and nobody knows which.
  expect(judge(40, ...both)).toEqual(['unknown', 'unknown']);
});

test('a call found out later is judged by what went since then', () => {
  expect(judge(20, call('a'), call('b', { balanceNet: 20 }))).toEqual(['billed', 'not_billed']);
});

test('a lone call is told right whatever it cost, within half of its estimate', () => {
  const amount = fc.integer({ min: 2, max: 1_000_000_000 });
  fc.assert(
    fc.property(
      amount,
      fc.integer({ min: 0, max: 1_000_000_000_000 }),
      fc.double({ min: -0.5, max: 0.5, noNaN: true }),
      (estimate, before, off) => {
        const cost = Math.trunc(estimate + estimate * off);
        expect(judge(before, call('a', { estimate, balanceNet: before }))).toEqual(['not_billed']);
        if (cost * 2 >= estimate)
          expect(judge(before + cost, call('a', { estimate, balanceNet: before }))).toEqual(['billed']);
      },
    ),
  );
});
