import { nanocredits, parseCredits, toCredits } from '@renderyard/shared/credits/amount';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const MILLION = 10n ** 15n;

/** A decimal as it may stand in a header, in parts. */
const decimal = fc.record({
  sign: fc.constantFrom('', '-', '+'),
  whole: fc.stringMatching(/^\d{1,6}$/),
  fraction: fc.option(fc.stringMatching(/^\d{1,30}$/)),
  exponent: fc.option(fc.integer({ min: -60, max: 20 })),
});

function written(parts: { sign: string; whole: string; fraction: string | null; exponent: number | null }): string {
  const fraction = parts.fraction === null ? '' : `.${parts.fraction}`;
  return `${parts.sign}${parts.whole}${fraction}${parts.exponent === null ? '' : `e${parts.exponent}`}`;
}

/** The same number in nanocredits, as a fraction of whole numbers: nothing is rounded on the way. */
function exactly(parts: { sign: string; whole: string; fraction: string | null; exponent: number | null }) {
  const digits = BigInt(parts.whole + (parts.fraction ?? ''));
  const scale = 9 + (parts.exponent ?? 0) - (parts.fraction?.length ?? 0);
  const numerator = (parts.sign === '-' ? -digits : digits) * 10n ** BigInt(Math.max(scale, 0));
  return { numerator, denominator: 10n ** BigInt(Math.max(-scale, 0)) };
}

function floor({ numerator, denominator }: { numerator: bigint; denominator: bigint }): bigint {
  const quotient = numerator / denominator;
  return numerator % denominator < 0n ? quotient - 1n : quotient;
}

const size = (value: bigint) => (value < 0n ? -value : value);

describe('parseCredits', () => {
  it('gives the whole nanocredit below a balance and above a cost, whatever the number', () => {
    fc.assert(
      fc.property(decimal, (parts) => {
        const { numerator, denominator } = exactly(parts);
        const down = floor({ numerator, denominator });
        const up = -floor({ numerator: -numerator, denominator });
        const expected = (value: bigint) => (size(value) < MILLION ? Number(value) : undefined);
        expect(parseCredits(written(parts), 'down')).toBe(expected(down));
        expect(parseCredits(written(parts), 'up')).toBe(expected(up));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['0.0184921035', 'down', 18_492_103],
    ['0.0184921035', 'up', 18_492_104],
    ['-0.0000000001', 'down', -1],
    ['-0.0000000001', 'up', 0],
    ['999999.999999999', 'down', 999_999_999_999_999],
    ['1e-7', 'down', 100],
    ['1.38E-2', 'up', 13_800_000],
    [' 5 ', 'down', 5_000_000_000],
    ['-0', 'down', 0],
  ] as const)('reads %j, rounded %s, as %i', (text, round, nano) => {
    expect(parseCredits(text, round)).toBe(nano);
  });

  it.each([
    '',
    ' ',
    '.5',
    '5.',
    '1,5',
    '1_000',
    '1000000',
    '1e7',
    '1e99',
    '0x10',
    'NaN',
    'Infinity',
    '-Infinity',
    'null',
    '1 2',
    '1\n2',
    '--1',
    '1e',
    '1e+',
    '1e100',
    '٣',
    '$5',
    '5 credits',
    '0.'.padEnd(40, '1'),
  ])('refuses %j', (text) => {
    expect(parseCredits(text, 'down')).toBeUndefined();
    expect(parseCredits(text, 'up')).toBeUndefined();
  });

  it('never throws and never gives anything but a safe whole number', () => {
    const pieces = fc.array(fc.constantFrom('0', '9', '.', 'e', 'E', '-', '+', ' ', '\u00a0', '１', 'x'), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          pieces.map((list) => list.join('')),
        ),
        (text) => {
          const nano = parseCredits(text, 'up');
          expect(nano === undefined || Number.isSafeInteger(nano)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('nanocredits and toCredits', () => {
  it('give each other back for every amount below a million credits', () => {
    const most = 10 ** 15 - 1;
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: -most, max: most }), fc.integer({ min: -99, max: 99 })), (nano) => {
        expect(nanocredits(toCredits(nano))).toBe(nano);
      }),
      { numRuns: 1000 },
    );
  });

  it('round what is finer than a nanocredit up, however fine', () => {
    expect(nanocredits(0.1)).toBe(100_000_000);
    expect(nanocredits(123_456.1)).toBe(123_456_100_000_000);
    expect(nanocredits(0.000_000_000_1)).toBe(1);
    expect(nanocredits(1e-13)).toBe(1);
    expect(nanocredits(0)).toBe(0);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1_000_000, -1_000_000, 1e21])('refuse %d by name', (credits) => {
    expect(() => nanocredits(credits)).toThrow(`${credits} is not a number of credits`);
  });

  it('lose nothing over a million additions', () => {
    const cost = nanocredits(0.0138);
    let sum = 0;
    for (let i = 0; i < 1_000_000; i++) sum += cost;
    expect(toCredits(sum)).toBe(13_800);
  });
});
