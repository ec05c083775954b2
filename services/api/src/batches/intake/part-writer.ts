import { PART_BYTES, PART_ROWS } from '@renderyard/shared/batch/batch';
import { UploadError } from '../upload-error.ts';

const LF = 0x0a;

export type PartWriter = ReturnType<typeof createPartWriter>;

/**
 * Gathers lines into parts of at most PART_ROWS lines and PART_BYTES bytes.
 * @param put takes a part that is full, by its number from 0.
 */
export function createPartWriter(put: (part: number, rows: number, bytes: Buffer<ArrayBuffer>) => void) {
  let part = 0;
  let rows = 0;
  let bytes = 0;
  /** Where the lines of a part are gathered; made with the first of them. */
  let gathered: Buffer | undefined;

  const flush = (): void => {
    if (rows === 0 || gathered === undefined) return;
    put(part++, rows, Buffer.from(gathered.subarray(0, bytes)));
    rows = 0;
    bytes = 0;
  };

  return {
    /** @throws {UploadError} `row_too_long` for a line that fits into no part. */
    add(value: { readonly line: number }): void {
      const text = JSON.stringify(value);
      // A unit of UTF-16 takes at most 3 bytes: to count them is needed only near the limit.
      if (bytes + text.length * 3 + 1 > PART_BYTES) {
        const length = Buffer.byteLength(text) + 1;
        if (length > PART_BYTES) throw tooLong(value.line, length);
        if (bytes + length > PART_BYTES) flush();
      }
      gathered ??= Buffer.allocUnsafe(PART_BYTES);
      bytes += gathered.write(text, bytes);
      // As a byte: a line break added to the text would have the text copied once more.
      gathered[bytes++] = LF;
      if (++rows === PART_ROWS) flush();
    },

    flush,
  };
}

function tooLong(line: number, bytes: number): UploadError {
  return new UploadError(
    'row_too_long',
    `The row on line ${line} takes ${bytes} bytes with its templates filled in; ${PART_BYTES} are allowed.`,
    { line },
  );
}
