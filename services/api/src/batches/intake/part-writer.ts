import { createHash } from 'node:crypto';
import { PART_BYTES, PART_ROWS, type RowsPart } from '@renderyard/shared/batch/batch';
import { UploadError } from '../upload-error.ts';

export type PartWriter = ReturnType<typeof createPartWriter>;

/**
 * Gathers lines into parts of at most PART_ROWS lines and PART_BYTES bytes.
 * @param put takes a part that is full, by its number from 0.
 */
export function createPartWriter(put: (part: number, bytes: Buffer) => void) {
  const parts: RowsPart[] = [];
  let lines: string[] = [];
  let bytes = 0;

  const flush = (): void => {
    if (lines.length === 0) return;
    const body = Buffer.from(lines.join(''));
    parts.push({ rows: lines.length, bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') });
    put(parts.length - 1, body);
    lines = [];
    bytes = 0;
  };

  return {
    /** @throws {UploadError} `row_too_long` for a line that fits into no part. */
    add(value: { readonly line: number }): void {
      const text = `${JSON.stringify(value)}\n`;
      const length = Buffer.byteLength(text);
      if (length > PART_BYTES)
        throw new UploadError(
          'row_too_long',
          `The row on line ${value.line} takes ${length} bytes with its templates filled in; ${PART_BYTES} are allowed.`,
          { line: value.line },
        );
      if (bytes + length > PART_BYTES) flush();
      lines.push(text);
      bytes += length;
      if (lines.length === PART_ROWS) flush();
    },

    flush,

    /** The parts that were put. */
    parts: (): readonly RowsPart[] => parts,
  };
}
