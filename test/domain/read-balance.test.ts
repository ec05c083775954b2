import { readBalance } from '@renderyard/worker/segmind/read-balance';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

describe('readBalance', () => {
  it.each([
    ['{"credits": 0.0, "free-credits": 0.0184921035}', 18_492_103],
    ['{"credits": 12.5, "free-credits": 0.5}', 13_000_000_000],
    ['{"credits": "12.5"}', 12_500_000_000],
    ['{"credits": 12.5, "free-credits": null}', 12_500_000_000],
    ['{"free-credits": 1}', 1_000_000_000],
    ['{"credits": -0.25, "free-credits": 0.5}', 250_000_000],
    ['{"credits": 1e-7}', 100],
    ['{"credits": 0}', 0],
  ])('of %s is %i nanocredits', (body, nano) => {
    expect(readBalance(body)).toBe(nano);
  });

  it.each([
    '',
    'null',
    '5',
    '"5"',
    '[]',
    '{}',
    '[{"credits": 5}]',
    '{"credits": null}',
    '{"credits": "many"}',
    '{"credits": true}',
    '{"credits": {}}',
    '{"credits": [5]}',
    '{"credits": ""}',
    '{"credits": 1e300}',
    '{"credits": 5, "free-credits": "?"}',
    '{"Credits": 5}',
    '<html>5</html>',
    '{"credits": 5',
  ])('of %j is unusable', (body) => {
    expect(readBalance(body)).toBeUndefined();
  });

  it('adds two amounts and never counts more than there is', () => {
    const amount = fc.integer({ min: 0, max: 10 ** 14 });
    fc.assert(
      fc.property(amount, amount, (paid, free) => {
        const body = `{"credits": ${paid / 1e9}, "free-credits": ${free / 1e9}}`;
        expect(readBalance(body)).toBe(paid + free);
      }),
    );
  });
});
