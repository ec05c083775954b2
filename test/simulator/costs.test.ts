import { creditsNumber, formatCredits, parseCredits } from '@renderyard/simulator/credits';
import { costOf } from '@renderyard/simulator/pricing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { simulate } from './simulate.ts';

const PRICE = parseCredits('0.0138');
const render = fc.record({
  steps: fc.integer({ min: 10, max: 69 }),
  width: fc.integer({ min: 64, max: 2047 }),
  height: fc.integer({ min: 64, max: 2047 }),
  batchSize: fc.integer({ min: 1, max: 9 }),
});

describe('an amount of credits', () => {
  test('is the same after it was printed and read', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 21n), max: 10n ** 21n }),
        (units) => parseCredits(formatCredits(units)) === units,
      ),
    );
  });

  test('is printed as a plain decimal', () => {
    const printed = ['10', '0.0138', '0.0000000001', '-0.5', '1000000.25', '0'];
    expect(printed.map((text) => formatCredits(parseCredits(text)))).toEqual(printed);
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 21n), 10n ** 21n), (units) =>
        /^-?\d+(\.\d{0,9}[1-9])?$/.test(formatCredits(units)),
      ),
    );
  });

  test('given as a number is the decimal that the number is written as', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 ** 9 }),
        (n) => formatCredits(parseCredits(n / 10_000)) === String(n / 10_000),
      ),
    );
    expect(parseCredits(1e-10)).toBe(1n);
    expect(creditsNumber(138_000_000n)).toBe(0.0138);
  });

  test.each(['', '1e3', '1.', '.5', '+1', '1,5', '0.00000000001', ' 1', 'NaN'])('is not %j', (text) => {
    expect(() => parseCredits(text)).toThrow(/plain decimal/);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1e12])('is not the number %d', (number) => {
    expect(() => parseCredits(number)).toThrow(/finite number/);
  });
});

describe('a cost', () => {
  test('is 0.0138 for 30 steps at 1024 x 1024', () => {
    expect(formatCredits(costOf({ steps: 30, width: 1024, height: 1024, batchSize: 1 }, PRICE))).toBe('0.0138');
  });

  test('grows with steps, with each side and with the number of images', () => {
    fc.assert(
      fc.property(render, (work) => {
        const cost = costOf(work, PRICE);
        for (const name of ['steps', 'width', 'height', 'batchSize'] as const)
          expect(costOf({ ...work, [name]: work[name] + 1 }, PRICE)).toBeGreaterThan(cost);
      }),
    );
  });

  test('is never nothing', () => {
    expect(costOf({ steps: 10, width: 64, height: 64, batchSize: 1 }, 1n)).toBe(1n);
  });

  test('with noise varies within its share, the same in every run of the same seed', async () => {
    const costs = async (seed: number) => {
      const { render: call } = await simulate({ priceNoise: 0.2, seed, price: '2.56' });
      const list: number[] = [];
      for (const prompt of ['a', 'b', 'c', 'a']) list.push(Number((await call(prompt)).headers.get('x-cost')));
      return list;
    };
    const first = await costs(1);
    expect(new Set(first).size).toBe(4);
    for (const cost of first) expect(Math.abs(cost - 0.01)).toBeLessThanOrEqual(0.002);
    expect(await costs(1)).toEqual(first);
    expect(await costs(2)).not.toEqual(first);
  });
});
