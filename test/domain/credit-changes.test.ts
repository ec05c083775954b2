import {
  type CreditStanding,
  type CreditTerms,
  creditTermsOf,
  hold,
  resume,
  set,
} from '@renderyard/api/credits/credit-changes';
import type { CreditsPatch } from '@renderyard/api/credits/credits-patch';
import { CREDIT_LIMITS } from '@renderyard/shared/credits/credit-decision';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const settings = { floor: 1, low: 2, resume: 3 };
const standing = (terms: Partial<CreditTerms> = {}, known: Partial<CreditStanding> = {}): CreditStanding => ({
  ...{ terms: { limits: {}, budgets: {}, ...terms }, settings, holds: [], now: 50 },
  ...known,
});

const amount = fc.integer({ min: 0, max: 5 });
const given = fc.option(amount, { nil: null });
const limit = (name: 'floor' | 'low' | 'resume') => amount.map((value) => ({ value, over: settings[name] }));
const budget = fc.record({ day: amount, total: amount }, { requiredKeys: [] });
const terms = fc
  .record({
    limits: fc.record({ floor: limit('floor'), low: limit('low'), resume: limit('resume') }, { requiredKeys: [] }),
    budgets: fc.dictionary(fc.constantFrom('ann', 'bob'), budget),
  })
  .map((each) => each as unknown as CreditTerms);
const patch = fc
  .record({
    limits: fc.record({ floor: given, low: given, resume: given }, { requiredKeys: [] }),
    budgets: fc.dictionary(
      fc.constantFrom('ann', 'bob'),
      fc.record({ day: given, total: given }, { requiredKeys: [] }),
    ),
  })
  .map((each) => ({ ...each, budgets: new Map(Object.entries(each.budgets)) }) as unknown as CreditsPatch);

test('a PATCH has exactly what it asks for, tells of nothing else, and once done changes nothing', () => {
  fc.assert(
    fc.property(terms, patch, (before, asked) => {
      const outcome = set(asked)(standing(before));
      const after = outcome?.terms ?? before;
      for (const name of CREDIT_LIMITS) {
        const value = (of: CreditTerms) => of.limits[name]?.value ?? settings[name];
        const wanted = asked.limits[name];
        expect(value(after)).toBe(wanted === undefined ? value(before) : (wanted ?? settings[name]));
        const told = outcome?.changes.some(({ what }) => what === name) ?? false;
        expect(told).toBe(value(after) !== value(before));
      }
      for (const key of ['ann', 'bob'])
        for (const span of ['day', 'total'] as const) {
          const wanted = asked.budgets.get(key)?.[span];
          expect(after.budgets[key]?.[span] ?? null).toBe(
            wanted === undefined ? (before.budgets[key]?.[span] ?? null) : wanted,
          );
          const told = outcome?.changes.some(({ what }) => what === `budgets.${key}.${span}`) ?? false;
          expect(told).toBe(after.budgets[key]?.[span] !== before.budgets[key]?.[span]);
        }
      expect(set(asked)(standing(after))).toBeUndefined();
    }),
  );
});

test('a limit goes with the setting that it took the place of', () => {
  const last = {
    ...{ seq: 1, at: 1, by: 'ann', action: 'set' as const, changes: [], budgets: { ann: { day: 1 } } },
    limits: { floor: { value: 9, over: 1 }, low: { value: 9, over: 1 } },
  };
  expect(creditTermsOf(last, settings)).toEqual({
    limits: { floor: { value: 9, over: 1 } },
    budgets: { ann: { day: 1 } },
  });
  expect(creditTermsOf(undefined, settings)).toEqual({ limits: {}, budgets: {} });
});

test('a hold keeps since when it stands, and the rest of what was decided', () => {
  const before = { limits: { floor: { value: 9, over: 1 } }, budgets: { ann: { day: 1 } } };
  const first = hold('Stop.')(standing(before));
  expect(first).toEqual({
    action: 'hold',
    changes: [{ what: 'hold', from: null, to: 'Stop.' }],
    terms: { ...before, hold: { since: 50, detail: 'Stop.' } },
  });
  const held = standing(first?.terms, { now: 99 });
  expect(hold('Stop.')(held)).toBeUndefined();
  expect(hold('Still.')(held)?.terms.hold).toEqual({ since: 50, detail: 'Still.' });
  expect(resume()(held)).toEqual({
    action: 'resume',
    changes: [{ what: 'hold', from: 'Stop.', to: null }],
    terms: before,
  });
});

test('a resume tells of holds that nobody decided, and of those it has tried; of nothing where there is none', () => {
  expect(resume()(standing())).toBeUndefined();
  const holds = [
    { name: 'operator' as const, since: 1, detail: 'Another upstream.' },
    { name: 'credits' as const, since: 1, detail: '' },
    { name: 'model:a' as const, since: 1, detail: '', trialAt: 5 },
    { name: 'rate' as const, since: 1, detail: '', until: 5 },
    { name: 'key:ann' as const, since: 1, detail: '', until: 5 },
  ];
  expect(resume()(standing({}, { holds }))?.changes).toEqual([
    { what: 'hold', from: 'Another upstream.', to: null },
    { what: 'tried', from: null, to: ['credits', 'model:a'] },
  ]);
  expect(resume({ jobs: 3, batches: 1 })(standing())?.changes).toEqual([
    { what: 'backlog', from: null, to: { jobs: 3, batches: 1 } },
  ]);
});
