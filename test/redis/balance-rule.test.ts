import { loadLua } from '@renderyard/shared/redis/script';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

const RULE = loadLua(new URL('../../packages/shared/src/credits/balance.lua', import.meta.url));
/** Takes readings in one after another; answers with the balance after each. Numbers go as texts, so that none is rounded. */
const FOLD = `
local a = cjson.decode(ARGV[1])
local balance = tonumber(a.balance or nil)
local after = {}
for i, reading in ipairs(a.readings) do
  balance = balance_after(balance, tonumber(reading.value), reading.exact)
  after[i] = balance and string.format('%.0f', balance) or ''
end
return after`;
const OFFSET = `
local differences = {}
for i, text in ipairs(ARGV) do differences[i] = tonumber(text) end
return string.format('%.0f', offset_of(differences))`;

/** Whole nanocredits: from debts to more than nine million credits, which is as far as whole numbers are exact. */
const amount = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }),
  fc.integer({ min: -1_000_000_000, max: 1_000_000_000_000 }),
  fc.constantFrom(0, 1, -1, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER - 1),
);
interface Reading {
  readonly value: number;
  readonly exact: boolean;
}
const reading: fc.Arbitrary<Reading> = fc.record({ value: amount, exact: fc.boolean() });
const doubtful = fc.record({ value: amount, exact: fc.constant(false) });
const readings = fc.array(reading, { minLength: 1, maxLength: 12 });
const doubtfuls = fc.array(doubtful, { minLength: 1, maxLength: 12 });

let redis: Redis;
beforeAll(() => {
  redis = new Redis(inject('redisUrl'));
});
afterAll(async () => {
  await redis.quit();
});

/** The balance after each reading. */
const balancesAfter = async (balance: number, all: readonly Reading[]): Promise<readonly number[]> => {
  const told = all.map(({ value, exact }) => ({ value: String(value), exact }));
  const argument = JSON.stringify({ balance: String(balance), readings: told });
  return ((await redis.eval(RULE + FOLD, 0, argument)) as string[]).map(Number);
};
const balanceAfter = async (balance: number, all: readonly Reading[]) => (await balancesAfter(balance, all)).at(-1);
const offset = async (differences: readonly number[]) =>
  Number(await redis.eval(RULE + OFFSET, 0, ...differences.map(String)));
const holds = (property: fc.IAsyncProperty<unknown>) => fc.assert(property, { numRuns: 300 });

describe('the rule for readings of the balance, as Redis runs it', () => {
  it('asks Redis for nothing, so that it depends on nothing but what it is given', () => {
    expect(RULE.replaceAll(/--.*$/gm, '')).not.toMatch(/redis|KEYS|ARGV|\bP\b/);
  });

  it('never believes more to be left after a reading that is not exact than before it', () =>
    holds(
      fc.asyncProperty(amount, doubtfuls, async (balance, all) => {
        let before = balance;
        for (const now of await balancesAfter(balance, all)) {
          expect(now).toBeLessThanOrEqual(before);
          before = now;
        }
      }),
    ));

  it('never believes more to be left than any reading said that came after the last exact one', () =>
    holds(
      fc.asyncProperty(amount, readings, async (balance, all) => {
        const since = all.slice(all.findLastIndex(({ exact }) => exact));
        const said = all.some(({ exact }) => exact) ? since : [...all, { value: balance }];
        expect(await balanceAfter(balance, all)).toBe(Math.min(...said.map(({ value }) => value)));
      }),
    ));

  it('comes to the same, in whatever order readings come that are not exact, and however often each is told', () =>
    holds(
      fc.asyncProperty(
        amount,
        doubtfuls.chain((all) =>
          fc.tuple(fc.constant(all), fc.shuffledSubarray([...all, ...all], { minLength: all.length })),
        ),
        async (balance, [all, again]) => {
          const first = await balanceAfter(balance, all);
          expect(await balanceAfter(balance, [...all, ...again])).toBe(first);
          expect(await balanceAfter(balance, [...again, ...all])).toBe(first);
        },
      ),
    ));

  it('believes an exact reading to the last nanocredit, whatever was believed before', () =>
    holds(
      fc.asyncProperty(amount, readings, amount, async (balance, all, value) => {
        expect(await balanceAfter(balance, [...all, { value, exact: true }])).toBe(value);
      }),
    ));

  it('believes no less where more is believed or read: it is monotone in each', () =>
    holds(
      fc.asyncProperty(amount, amount, reading, fc.nat(), async (one, other, { value, exact }, more) => {
        const [low, high] = one < other ? [one, other] : [other, one];
        const of = (balance: number, read: number) => balanceAfter(balance, [{ value: read, exact }]);
        expect(await of(low, value)).toBeLessThanOrEqual((await of(high, value)) ?? Number.NaN);
        const greater = Math.min(value + more, Number.MAX_SAFE_INTEGER);
        expect(await of(low, value)).toBeLessThanOrEqual((await of(low, greater)) ?? Number.NaN);
      }),
    ));
});

describe('what is added to a header, as Redis runs it', () => {
  it('is nothing until three pairs are known', () =>
    holds(
      fc.asyncProperty(fc.array(amount, { maxLength: 2 }), async (differences) => {
        expect(await offset(differences)).toBe(0);
      }),
    ));

  it('is the least of the last three where all are more than nothing, else the middle one where that is less', () =>
    holds(
      fc.asyncProperty(fc.tuple(amount, amount, amount), fc.array(amount), async (three, older) => {
        const [least = 0, middle = 0] = three.toSorted((a, b) => a - b);
        const expected = least > 0 ? least : Math.min(middle, 0);
        expect(await offset([...three, ...older])).toBe(expected);
        expect(await offset([...three.toReversed(), ...older])).toBe(expected);
      }),
    ));

  it('is never more than is true, and no less than nothing where that is true, as long as two of the last three pairs are', () =>
    holds(
      fc.asyncProperty(amount, amount, fc.nat(2), async (truth, odd, at) => {
        const found = await offset([truth, truth].toSpliced(at, 0, odd));
        expect(found).toBeLessThanOrEqual(Math.max(truth, 0));
        expect(found).toBeGreaterThanOrEqual(Math.min(truth, 0));
      }),
    ));

  it('is never more than nothing or the truth, as long as one of the last three pairs is true', () =>
    holds(
      fc.asyncProperty(amount, amount, amount, async (truth, one, other) => {
        expect(await offset([one, truth, other])).toBeLessThanOrEqual(Math.max(truth, 0));
      }),
    ));
});
