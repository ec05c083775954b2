import { type Estimate, estimate, expectedCost, type Means, type Need } from '@renderyard/shared/batch/estimate';
import { expectedEnd, measuredRate } from '@renderyard/shared/batch/eta';
import { limitOf } from '@renderyard/shared/batch/limit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

/** A key without budgets. */
const NO_KEY = { day: undefined, total: undefined };
const amount = fc.integer({ min: 0, max: 10_000_000_000_000 });
const means = fc.record<Means>({
  available: fc.option(fc.integer({ min: -1_000_000_000, max: 10_000_000_000_000 }), { nil: undefined }),
  perMinute: fc.integer({ min: 1, max: 100_000 }),
  slots: fc.integer({ min: 1, max: 1000 }),
});
const need = fc.integer({ min: 1, max: 2_000_000 }).chain((rows) =>
  fc.record<Need>({
    rows: fc.constant(rows),
    remaining: fc.integer({ min: 0, max: rows }),
    expected: amount,
    spent: amount,
    reserved: fc.constant(0),
    budget: fc.option(amount, { nil: null }),
    key: fc.record({ day: fc.option(amount, { nil: undefined }), total: fc.option(amount, { nil: undefined }) }),
  }),
);

describe('an estimate', () => {
  test('fits exactly if neither the balance nor any budget falls short, and is unknown only where the balance is', () => {
    fc.assert(
      fc.property(need, means, (what, by) => {
        const found = estimate(what, by);
        const short = [found.left, found.budgetLeft, found.keyDayLeft, found.keyTotalLeft].some(
          (left) => left !== undefined && left < 0,
        );
        const expected: Estimate['fits'] = short ? false : by.available === undefined ? undefined : true;
        expect(found.fits).toBe(expected);
        if (by.available !== undefined) expect(found.left).toBe(by.available - found.cost);
        for (const [has, left] of [
          [what.key.day, found.keyDayLeft],
          [what.key.total, found.keyTotalLeft],
        ])
          expect(left).toBe(has === undefined ? undefined : has - found.cost);
        if (what.budget !== null) expect(found.budgetLeft).toBe(what.budget - what.spent - found.cost);
      }),
    );
  });

  test('of all rows is what they are expected to cost, of none nothing, and never falls as rows are added', () => {
    fc.assert(
      fc.property(need, means, (what, by) => {
        expect(estimate({ ...what, remaining: what.rows }, by).cost).toBe(what.expected);
        expect(estimate({ ...what, remaining: 0 }, by)).toMatchObject({ cost: 0, seconds: 0 });
        const more = estimate({ ...what, remaining: Math.min(what.rows, what.remaining + 1) }, by);
        const found = estimate(what, by);
        expect(more.cost).toBeGreaterThanOrEqual(found.cost);
        expect(more.seconds).toBeGreaterThanOrEqual(found.seconds);
      }),
    );
  });

  test('does not count what calls in flight have set aside a second time', () => {
    const what = { rows: 10, remaining: 10, expected: 100, spent: 0, reserved: 30, budget: null, key: NO_KEY };
    const by = { available: 70, perMinute: 60, slots: 20 };
    expect(estimate(what, by)).toMatchObject({ cost: 100, left: 0, fits: true });
    const key = { day: 69, total: 70 };
    expect(estimate({ ...what, key }, by)).toMatchObject({ keyDayLeft: -1, keyTotalLeft: 0, fits: false });
  });

  test('takes the rate that is allowed, or what the slots can do', () => {
    const what = { rows: 600, remaining: 600, expected: 0, spent: 0, reserved: 0, budget: null, key: NO_KEY };
    expect(estimate(what, { available: 0, perMinute: 60, slots: 20 }).seconds).toBe(600);
    expect(estimate(what, { available: 0, perMinute: 600, slots: 1 }).seconds).toBe(7200);
  });

  test('uses what was learned of a class, else of its model, else its guess', () => {
    const classes = [
      { class: 'a', rows: 3, guess: 20 },
      { class: 'b', rows: 2, guess: 50 },
    ];
    const learned = { estimates: new Map([['a', 15]]), ratios: new Map([['other', 9]]) };
    expect(expectedCost('m', classes, learned)).toBe(145);
    expect(expectedCost('m', classes, { ...learned, ratios: new Map([['m', 1.5]]) })).toBe(195);
    expect(expectedCost('m', [], learned)).toBe(0);
  });
});

describe('the measured rate', () => {
  const NOW = 1_700_000_000_000;
  /** Ends one after the other, the newest `age` ago. */
  const steady = (count: number, every: number, age = every) =>
    Array.from({ length: count }, (_, i) => NOW - age - i * every);

  test('is that of rows which end at even distances', () => {
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 50 }), fc.integer({ min: 100, max: 60_000 }), (count, every) => {
        const latest = steady(count, every, 0);
        const startedAt = count < 50 ? NOW - count * every : NOW - 1_000_000_000;
        const rate = measuredRate({ now: NOW, startedAt, latest, mostLatest: 50 });
        if (Math.min(count, 300_000 / every) * every >= 1000) expect(rate).toBeCloseTo(60_000 / every, 5);
      }),
    );
  });

  test('is finite and not negative, whatever the clocks say, and falls while no row ends', () => {
    const ends = fc.array(fc.integer({ min: -10_000_000, max: 10_000 }), { maxLength: 50 });
    fc.assert(
      fc.property(ends, fc.option(fc.integer({ min: -20_000_000, max: 10_000 }), { nil: undefined }), (ages, age) => {
        const latest = ages.map((each) => NOW + each).sort((a, b) => b - a);
        const startedAt = age === undefined ? undefined : NOW + age;
        const rate = measuredRate({ now: NOW, startedAt, latest, mostLatest: 50 });
        expect(rate).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(rate)).toBe(true);
      }),
    );
    const movement = { startedAt: NOW - 600_000, latest: steady(20, 1000), mostLatest: 50 };
    const rates = [0, 10_000, 60_000, 200_000].map((later) => measuredRate({ ...movement, now: NOW + later }));
    expect(rates.toSorted((a, b) => b - a)).toEqual(rates);
    expect(new Set(rates).size).toBe(rates.length);
  });

  test('forgets a long pause once enough rows have ended after it', () => {
    const latest = [...steady(10, 6000, 0), ...steady(40, 1000, 86_400_000)];
    const rate = measuredRate({ now: NOW, startedAt: NOW - 90_000_000, latest, mostLatest: 50 });
    expect(rate).toBeCloseTo(10, 5);
  });
});

describe('the expected end', () => {
  const NOW = 1_700_000_000_000;
  const by = { perMinute: 60, slots: 20 };
  const fresh = { now: NOW, startedAt: undefined, latest: [], mostLatest: 50 };

  test('goes by the allowed rate before rows have ended, and by the measured one after', () => {
    expect(expectedEnd(60, fresh, by)).toBe(NOW + 60_000);
    const latest = Array.from({ length: 50 }, (_, i) => NOW - i * 2000);
    expect(expectedEnd(60, { ...fresh, startedAt: NOW - 200_000, latest }, by)).toBe(NOW + 120_000);
  });

  test('is never in the past, and later with more rows', () => {
    const ends = fc.array(fc.integer({ min: -10_000_000, max: 0 }), { maxLength: 50 });
    fc.assert(
      fc.property(ends, fc.integer({ min: 0, max: 2_000_000 }), (ages, rows) => {
        const movement = { ...fresh, latest: ages.map((age) => NOW + age).sort((a, b) => b - a) };
        const end = expectedEnd(rows, movement, by);
        expect(end).toBeGreaterThanOrEqual(NOW);
        expect(expectedEnd(rows + 1, movement, by)).toBeGreaterThanOrEqual(end);
      }),
    );
  });
});

test.each([
  ['a hold, before all', { detail: 'Why.' }, 20, 'hold', 'Why.'],
  ['the slots when all are taken', undefined, 20, 'concurrency', 'SEGMIND_CONCURRENCY'],
  ['the rate when some are free', undefined, 19, 'rate', 'SEGMIND_RPM'],
  ['the rate before anything runs', undefined, 0, 'rate', 'SEGMIND_RPM'],
] as const)('what limits a batch is %s', (_name, hold, inFlight, reason, words) => {
  const limit = limitOf({ perMinute: 60, slots: 20 }, { hold, inFlight });
  expect(limit).toEqual({ by: reason, detail: expect.stringContaining(words) });
});

test('before anything runs few slots are what limits a batch', () => {
  expect(limitOf({ perMinute: 600, slots: 2 }, { hold: undefined, inFlight: undefined }).by).toBe('concurrency');
});
