import type { ByteRange } from './store.ts';
import { StoreError } from './store-error.ts';

/** @throws {StoreError} `range` unless the numbers are whole, in order, and ask for at least one byte. */
export function assertRange(range: ByteRange): void {
  const valid =
    'suffix' in range
      ? isLength(range.suffix) && range.suffix > 0
      : isLength(range.start) && (range.end === undefined || (isLength(range.end) && range.end >= range.start));
  if (!valid) throw new StoreError('range', `The range ${JSON.stringify(range)} asks for no byte.`);
}

/**
 * Returns the first and the last byte that a range means in an object of this length.
 * @throws {StoreError} `range`, with the length, if there is none.
 */
export function resolveRange(range: ByteRange, bytes: number): { start: number; end: number } {
  assertRange(range);
  const start = 'suffix' in range ? Math.max(0, bytes - range.suffix) : range.start;
  const end = 'suffix' in range ? bytes - 1 : Math.min(range.end ?? bytes - 1, bytes - 1);
  if (start >= bytes)
    throw new StoreError('range', `The range ${JSON.stringify(range)} lies outside of an object of ${bytes} bytes.`, {
      bytes,
    });
  return { start, end };
}

/**
 * Reads a Range header of one range of bytes (RFC 9110, 14.2).
 * @returns undefined for any other: several ranges, other units, or nonsense, which a server may answer in full.
 */
export function parseRange(header: string | undefined): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first === '') return { suffix: Number(last) };
  if (last === '') return { start: Number(first) };
  return Number(last) < Number(first) ? undefined : { start: Number(first), end: Number(last) };
}

function isLength(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
