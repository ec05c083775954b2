import { compareKeys, keyProblem, MAX_KEY_BYTES } from '@renderyard/shared/store/object-key';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

describe('keyProblem', () => {
  it.each([
    'a',
    'a/b.png',
    'ä ö/ü.png',
    '日本/🎉',
    '.hidden',
    'a..b',
    '...',
    "it's (1)!*",
    '100%',
    'a+b&c=d?#;',
    '~',
    ' ',
  ])('accepts %j', (key) => expect(keyProblem(key)).toBeUndefined());

  it.each([
    ['', 'is empty'],
    ['/a', 'empty segment'],
    ['a/', 'empty segment'],
    ['a//b', 'empty segment'],
    ['.', 'segment "."'],
    ['a/../b', 'segment ".."'],
    ['..', 'segment ".."'],
    ['a\\b', 'backslash'],
    ['a\u0000', 'control'],
    ['a\nb', 'control'],
    ['a\u007f', 'control'],
    ['e\u0301', 'normal form'],
    ['\ud800', 'surrogate'],
    ['x'.repeat(MAX_KEY_BYTES + 1), 'longer'],
    ['ü'.repeat(MAX_KEY_BYTES / 2 + 1), 'longer'],
  ])('refuses %j', (key, problem) => expect(keyProblem(key)).toContain(problem));

  it('accepts the longest key', () => expect(keyProblem('x'.repeat(MAX_KEY_BYTES))).toBeUndefined());
});

describe('compareKeys', () => {
  it('sorts as the bytes of UTF-8 do', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '/', 'é', '\ue000', '\uffee', '🎉', '\u{10ffff}'),
      maxLength: 6,
    });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });
});
