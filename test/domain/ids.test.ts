import { drawSeed, type IdPrefix, isId, newId, newSecret } from '@renderyard/shared/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const PREFIXES: readonly IdPrefix[] = ['job', 'bat', 'evt', 'dlv', 'whk', 'key', 'call', 'req', 'wrk'];

describe('newId', () => {
  it('sorts in the order in which ids are made, and repeats none', () => {
    const ids = Array.from({ length: 20_000 }, () => newId('job'));
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(PREFIXES)('begins with %s, and is what BullMQ and a path take', (prefix) => {
    for (let i = 0; i < 100; i++) {
      const id = newId(prefix);
      expect(id).toMatch(new RegExp(`^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`));
      expect(isId(prefix, id)).toBe(true);
    }
  });

  it('holds the time, so that ids of different processes sort by it', () => {
    const digits = '0123456789abcdefghjkmnpqrstvwxyz';
    const before = Date.now();
    const text = newId('evt').slice(4);
    const value = [...text].reduce((sum, digit) => sum * 32n + BigInt(digits.indexOf(digit)), 0n);
    expect(Number(value >> 80n)).toBeGreaterThanOrEqual(before);
    expect(Number(value >> 80n)).toBeLessThanOrEqual(Date.now());
    expect((value >> 76n) & 15n).toBe(7n);
  });
});

describe('isId', () => {
  const id = newId('job');

  it.each([
    ['another prefix', id.replace('job', 'bat')],
    ['no prefix', id.slice(4)],
    ['one character less', id.slice(0, -1)],
    ['one character more', `${id}0`],
    ['a line feed behind it', `${id}\n`],
    ['a space before it', ` ${id}`],
    ['upper case', id.toUpperCase()],
    ['a letter that is not used', `job_${'l'.repeat(26)}`],
    ['nothing', ''],
  ])('refuses %s', (_, text) => {
    expect(isId('job', text)).toBe(false);
  });

  it('lets through nothing that could leave a key or a path', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 26, maxLength: 26 }), (rest) => {
        if (isId('job', `job_${rest}`)) expect(rest).toMatch(/^[0-9a-z]{26}$/);
      }),
    );
  });
});

describe('drawSeed', () => {
  it('draws whole numbers from 0 to 2,147,483,647, over the whole range', () => {
    const seeds = Array.from({ length: 20_000 }, () => drawSeed());
    for (const seed of seeds) expect(Number.isInteger(seed) && seed >= 0 && seed <= 2_147_483_647).toBe(true);
    // Each quarter is missed by chance once in 10^2500 runs.
    const quarters = new Set(seeds.map((seed) => Math.floor(seed / 2 ** 29)));
    expect([...quarters].sort()).toEqual([0, 1, 2, 3]);
  });
});

describe('newSecret', () => {
  it('has the entropy that was asked for, in characters that need no escape', () => {
    expect(newSecret()).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(newSecret(12)).toMatch(/^[A-Za-z0-9_-]{16}$/);
    expect(newSecret()).not.toBe(newSecret());
  });
});
