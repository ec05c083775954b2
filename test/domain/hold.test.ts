import { HOLD_REASONS, type Hold, type HoldName, holdFor, holdReason, holdsAll } from '@renderyard/shared/credits/hold';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const NAMES: readonly HoldName[] = [
  'operator',
  'unauthorized',
  'credits',
  'store',
  'upstream',
  'rate',
  'model:a',
  'model:b',
  'key:acme',
  'key:other',
];
const NOW = 1_000;
const JOB = { model: 'a', account: 'acme' };
const hold = (name: HoldName, until?: number): Hold => ({
  name,
  since: 0,
  detail: name,
  ...(until === undefined ? {} : { until }),
});

describe('holdFor', () => {
  it('names the gravest of those that stand, in whatever order they are given', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...NAMES]), (names) => {
        const expected = [
          'operator',
          'unauthorized',
          'credits',
          'store',
          'upstream',
          'rate',
          'model:a',
          'key:acme',
        ].find((name) => names.includes(name as HoldName));
        const found = holdFor(
          names.map((name) => hold(name)),
          JOB,
          NOW,
        );
        expect(found?.name).toBe(expected);
      }),
    );
  });

  it('leaves the list as it was', () => {
    const holds = [hold('rate'), hold('operator')];
    holdFor(holds, JOB, NOW);
    expect(holds.map(({ name }) => name)).toEqual(['rate', 'operator']);
  });

  it('passes over one that has run out, up to its very millisecond', () => {
    expect(holdFor([hold('rate', NOW)], JOB, NOW)).toBeUndefined();
    expect(holdFor([hold('rate', NOW + 1)], JOB, NOW)?.name).toBe('rate');
    expect(holdFor([hold('rate', NOW), hold('model:a')], JOB, NOW)?.name).toBe('model:a');
  });

  it("does not keep a job for another model's sake, or another key's", () => {
    expect(holdFor([hold('key:other')], JOB, NOW)).toBeUndefined();
    expect(holdFor([hold('model:b')], JOB, NOW)).toBeUndefined();
    expect(holdFor([hold('model:ab')], JOB, NOW)).toBeUndefined();
  });
});

describe('holdReason', () => {
  it('is one of the closed list for every hold', () => {
    for (const name of NAMES) expect(HOLD_REASONS).toContain(holdReason(name));
    expect(holdReason('model:stable')).toBe('model');
    expect(holdReason('key:acme')).toBe('key_budget');
  });
});

describe('a hold that only a newer version knows', () => {
  const own = 'account:acme' as HoldName;
  const all = 'moving' as HoldName;

  it('holds all work by a name without a colon, and none by another, as admit.lua has it', () => {
    expect([all, own].map(holdsAll)).toEqual([true, false]);
    expect(holdFor([hold(all)], JOB, NOW)?.name).toBe(all);
    expect(holdFor([hold(own)], JOB, NOW)).toBeUndefined();
  });

  it('is shown as an upgrade', () => {
    expect(holdReason(all)).toBe('upgrade');
  });
});
