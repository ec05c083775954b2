import { createSeenIdsAndKeys } from '@renderyard/api/batches/rows/seen-texts';
import { createTextHash } from '@renderyard/api/batches/rows/text-hash';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

describe('texts that were seen', () => {
  it('are known again with the line in which each was first, and no others are', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 6 }), { maxLength: 300 }), (texts) => {
        const seen = createSeenIdsAndKeys().ids;
        const before = texts.map((text, i) => seen.add(text, i + 1));
        const first = texts.map((text, i) => (texts.indexOf(text) < i ? texts.indexOf(text) + 1 : undefined));
        expect(before).toEqual(first);
      }),
    );
  });

  it('are known as ids or as keys, whatever the others are', () => {
    const texts = fc.array(fc.tuple(fc.string({ maxLength: 2 }), fc.boolean()), { maxLength: 300 });
    fc.assert(
      fc.property(texts, (added) => {
        const seen = createSeenIdsAndKeys();
        const first = new Map<string, number>();
        added.forEach(([text, isId], i) => {
          const name = `${isId} ${text}`;
          expect((isId ? seen.ids : seen.keys).add(text, i + 1)).toBe(first.get(name));
          if (!first.has(name)) first.set(name, i + 1);
        });
      }),
    );
  });

  it('are kept while the table grows, in bounded memory', () => {
    const seen = createSeenIdsAndKeys().ids;
    const many = 200_000;
    const before = process.memoryUsage().arrayBuffers;
    let known = 0;
    for (let i = 1; i <= many; i++) if (seen.add(`text ${i}`, i) !== undefined) known++;
    expect(known).toBe(0);
    // 2^19 slots of 16 bytes, and no smaller table beside it.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(9 * 2 ** 20);
    for (let i = 1; i <= many; i += 997) expect(seen.add(`text ${i}`, 1)).toBe(i);
  });
});

describe('the hash of a text', () => {
  const hashed = (key: readonly number[], text: string) => {
    const hash = createTextHash(key);
    hash.of(text);
    return `${hash.high()} ${hash.low()}`;
  };

  it('is another one with another key', () => {
    expect(hashed([1, 2], 'a')).toBe(hashed([1, 2], 'a'));
    expect(hashed([1, 2], 'a')).not.toBe(hashed([1, 3], 'a'));
    expect(hashed([1, 2], 'a')).not.toBe(hashed([2, 2], 'a'));
  });

  it('tells texts apart that differ in a unit, in their length or in zeros at the end', () => {
    const texts = ['', '\0', '\0\0', '\0\0\0', 'a', 'a\0', 'ab', 'ba', 'abc', 'abd', 'aac', '\u0100', '\u0001\u0000'];
    expect(new Set(texts.map((text) => hashed([5, 6], text))).size).toBe(texts.length);
  });

  it('spreads texts that look alike evenly over both halves', () => {
    const hash = createTextHash([7, 8]);
    const counts = [new Uint32Array(64), new Uint32Array(64)];
    for (let i = 0; i < 64_000; i++) {
      hash.of(`row-${i}`);
      for (const [half, value] of [hash.low(), hash.high()].entries()) {
        const count = counts[half];
        if (count !== undefined) count[value & 63] = (count[value & 63] ?? 0) + 1;
      }
    }
    for (const count of counts) for (const of64 of count) expect(Math.abs(of64 - 1000)).toBeLessThan(200);
  });
});
