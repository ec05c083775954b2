import { StoreError } from './store-error.ts';

/** S3 takes 1,024 bytes (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html); the rest is for a prefix. */
export const MAX_KEY_BYTES = 900;
/** What `check` writes. Listings leave it out. */
export const PROBE_KEY = '.renderyard-probe';

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const REFUSED_CHARACTERS = /[\u0000-\u001f\u007f-\u009f\\\u2028\u2029\ufffe\uffff]/;

/** Says what is wrong with a key, in words that complete "the key …", or undefined if it can be stored anywhere. */
export function keyProblem(key: string): string | undefined {
  if (key === '') return 'is empty';
  if (!key.isWellFormed()) return 'has half of a surrogate pair, which UTF-8 cannot hold';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `is longer than ${MAX_KEY_BYTES} bytes of UTF-8`;
  if (REFUSED_CHARACTERS.test(key)) return 'has a control character or a backslash';
  if (key !== key.normalize('NFC')) return 'is not in Unicode normal form C';
  for (const segment of key.split('/')) {
    if (segment === '') return 'has an empty segment: it begins or ends with "/", or has "//"';
    if (segment === '.' || segment === '..') return `has the segment "${segment}"`;
  }
  return undefined;
}

/** @throws {StoreError} `invalid`, saying what is wrong with the key. */
export function assertKey(key: string): void {
  const problem = keyProblem(key);
  if (problem !== undefined)
    throw new StoreError(
      'invalid',
      `An object cannot be stored or read: its key ${JSON.stringify(key.slice(0, 200))} ${problem}.`,
    );
}

/**
 * @throws {StoreError} `invalid` if no key can begin with this prefix. The part after its last "/" may be half a name.
 */
export function assertPrefix(prefix: string): void {
  const folder = prefix.slice(0, Math.max(prefix.lastIndexOf('/'), 0));
  const problem =
    (prefix.startsWith('/') ? 'begins with "/"' : undefined) ??
    (folder === '' ? undefined : keyProblem(folder)) ??
    (REFUSED_CHARACTERS.test(prefix) || !prefix.isWellFormed() ? 'has a character that no key can have' : undefined);
  if (problem !== undefined)
    throw new StoreError(
      'invalid',
      `Objects cannot be listed: the prefix ${JSON.stringify(prefix.slice(0, 200))} ${problem}.`,
    );
}

/**
 * Compares as S3 sorts: by the bytes of UTF-8, which is by code point. Comparing strings with `<` differs from it
 * where one has a surrogate pair and the other a character from U+E000 to U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** Moves surrogates, which stand for U+10000 and above, behind U+FFFF. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
