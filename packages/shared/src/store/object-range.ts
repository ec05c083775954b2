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

function isLength(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
