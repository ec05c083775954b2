import { UploadError } from '../upload-error.ts';
import { delimitersOf, scanRecord } from './csv-scan.ts';
import { MOST_COLUMNS } from './limits.ts';
import { countBreaks } from './text-source.ts';

const LF = 0x0a;
const CR = 0x0d;
/** In the order in which they are preferred where a header has as many of the one as of the other. */
const DELIMITERS = [',', ';', '\t'];

/** What the beginning of a CSV file tells. */
export interface CsvStart {
  readonly delimiter: string;
  /** The line of the header, from 1. */
  readonly line: number;
  /** The bytes from the header on. */
  readonly rest: Buffer;
}

/**
 * Gathers the beginning of a file until its header is whole. Empty lines before it are left out.
 * @param delimiter if it is known.
 */
export function createHeaderFinder({
  delimiter,
  mostRowBytes,
}: {
  readonly delimiter: string | undefined;
  readonly mostRowBytes: number;
}) {
  const candidates = delimiter === undefined ? DELIMITERS : [delimiter];
  const table = delimitersOf(candidates);
  let gathered: Buffer = Buffer.alloc(0);
  let line = 1;

  const scan = (to: number) => {
    const counts = new Uint32Array(256);
    const countOf = (candidate: string) => counts[candidate.charCodeAt(0)] ?? 0;
    const scanned = scanRecord(gathered, 0, to, table, counts);
    const most = candidates.reduce((best, one) => (countOf(one) > countOf(best) ? one : best));
    return { ...scanned, delimiter: most, count: countOf(most) };
  };

  return {
    line: () => line + countBreaks(gathered),

    /**
     * @returns undefined while the header is not whole.
     * @throws {UploadError} `unclosed_quote`, `too_many_columns` or `row_too_long` for a header that does not end.
     */
    push(bytes: Buffer): CsvStart | undefined {
      const before = gathered.length;
      gathered = before === 0 ? bytes : Buffer.concat([gathered, bytes]);
      if (before === 0) {
        let from = 0;
        while (gathered[from] === LF || gathered[from] === CR) from++;
        line += countBreaks(gathered, 0, from);
        gathered = gathered.subarray(from);
        if (gathered.length === 0) return undefined;
      }
      const mayEnd = bytes.includes(LF) || bytes.includes(CR);
      if (!mayEnd && gathered.length <= mostRowBytes) return undefined;
      const { end, delimiter: found, openQuote, count } = scan(Math.min(gathered.length, mostRowBytes));
      if (end !== undefined) return { delimiter: found, line, rest: gathered };
      if (gathered.length <= mostRowBytes) return undefined;
      throw endlessHeader(openQuote, count, line, mostRowBytes);
    },

    /** @returns undefined for a file of nothing but empty lines. */
    end(): CsvStart | undefined {
      if (gathered.length === 0) return undefined;
      return { delimiter: scan(gathered.length).delimiter, line, rest: gathered };
    },
  };
}

function endlessHeader(openQuote: number | undefined, delimiters: number, line: number, most: number): UploadError {
  if (openQuote !== undefined)
    return new UploadError(
      'unclosed_quote',
      `A quoted name in the header, line ${line}, is not closed within ${most} bytes. Close the quote, or remove it.`,
      { line },
    );
  if (delimiters >= MOST_COLUMNS) return tooManyColumns(`more than ${delimiters}`, line);
  return new UploadError(
    'row_too_long',
    `The header, line ${line}, is longer than ${most} bytes. A CSV file begins with a line of column names, and ends each line with a line break.`,
    { line },
  );
}

/** For a header with more columns than can be kept. */
export function tooManyColumns(count: string, line: number): UploadError {
  return new UploadError(
    'too_many_columns',
    `The header, line ${line}, has ${count} columns; ${MOST_COLUMNS} are allowed. Remove those that are not needed.`,
    { line },
  );
}
