import type { Read, RowReader } from '../rows/read.ts';
import { UploadError } from '../upload-error.ts';
import { readJsonLine } from './json-item.ts';
import { REJECTABLE_LENGTH } from './limits.ts';
import { rowTooLong } from './row-problems.ts';
import type { TextSource } from './text-source.ts';

const LF = 0x0a;
/** The white space of JSON. */
const BLANK = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** JSON values, one a line. Blank lines are skipped and counted as lines. */
export function createNdjsonSource({
  reader,
  mostRowBytes,
  take,
}: {
  readonly reader: RowReader;
  readonly mostRowBytes: number;
  readonly take: (read: Read) => void;
}): TextSource {
  let line = 1;
  /** The beginning of a line whose end has not come. */
  let begun: Buffer[] = [];
  let begunBytes = 0;

  const takeLine = (bytes: Buffer): void => {
    checkLength(bytes.length);
    if (bytes.length > mostRowBytes) take(reader.reject(line, [], rowTooLong(line, bytes.length, mostRowBytes)));
    else take(isBlank(bytes) ? { kind: 'blank' } : readJsonLine(reader, line, bytes));
    line++;
  };

  const checkLength = (bytes: number): void => {
    if (bytes > REJECTABLE_LENGTH * mostRowBytes)
      throw new UploadError(
        'row_too_long',
        `Line ${line} is longer than ${REJECTABLE_LENGTH * mostRowBytes} bytes; ${mostRowBytes} are allowed. Each line must be one JSON object; send a JSON document as application/json.`,
        { line },
      );
  };

  const finishLine = (last: Buffer): void => {
    const bytes = begun.length === 0 ? last : Buffer.concat([...begun, last]);
    begun = [];
    begunBytes = 0;
    takeLine(bytes);
  };

  return {
    line: () => line,

    async push(text) {
      let from = 0;
      for (let at = text.indexOf(LF); at !== -1; at = text.indexOf(LF, from)) {
        finishLine(text.subarray(from, at));
        from = at + 1;
      }
      if (from === text.length) return;
      begun.push(text.subarray(from));
      begunBytes += text.length - from;
      checkLength(begunBytes);
    },

    async end() {
      if (begunBytes > 0) finishLine(Buffer.alloc(0));
    },
  };
}

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (!BLANK.has(byte)) return false;
  return true;
}
