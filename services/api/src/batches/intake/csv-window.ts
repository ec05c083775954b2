import { UploadError } from '../upload-error.ts';
import { delimitersOf, scanRecord } from './csv-scan.ts';
import { REJECTABLE_LENGTH } from './limits.ts';
import { countBreaks } from './text-source.ts';

/** What a record's bytes tell that its values do not. */
export interface CsvRecord {
  /** The line on which it begins, from 1. */
  readonly line: number;
  /** As it is written, with its line break. */
  readonly bytes: number;
  /** Line breaks inside of quotes. */
  readonly breaks: number;
  /** Index of the first field with a quote that is neither its limit nor doubled. */
  readonly bareField: number | undefined;
}

const PLAIN = { breaks: 0, bareField: undefined };

/** Runs for each record: a loop, because a callback for each value takes twice as long. */
function haveQuote(values: readonly string[]): boolean {
  for (let at = 0; at < values.length; at++) if (values[at]?.includes('"')) return true;
  return false;
}

/**
 * Keeps the bytes of the record that is being parsed. csv-parse counts a CRLF inside of quotes as two lines, does not say
 * where quotes were bare, and its limit of length counts no delimiters; all three are known from the bytes.
 */
export function createRecordWindow({
  line: firstLine,
  delimiter,
  mostRowBytes,
}: {
  readonly line: number;
  readonly delimiter: string;
  readonly mostRowBytes: number;
}) {
  const delimiters = delimitersOf(delimiter);
  let line = firstLine;
  let kept: Buffer = Buffer.alloc(0);
  /** Where `kept` begins, in bytes since the header. */
  let keptFrom = 0;
  /** Where the record that is being parsed begins in `kept`. */
  let from = 0;
  /** Lines as csv-parse had counted them at the last record. */
  let counted = 0;

  const lineAt = (at: number) => line + countBreaks(kept, from, at);

  const endless = (openQuote: number | undefined): UploadError => {
    if (openQuote === undefined)
      return new UploadError(
        'row_too_long',
        `The row on line ${line} is longer than ${REJECTABLE_LENGTH * mostRowBytes} bytes; ${mostRowBytes} are allowed. Shorten it, or check where its line ends.`,
        { line },
      );
    const at = lineAt(openQuote);
    return new UploadError(
      'unclosed_quote',
      `The quoted field that begins on line ${at} is not closed within ${mostRowBytes} bytes. Close it, or double the quotes that are part of the text.`,
      { line: at },
    );
  };

  /** @throws {UploadError} for what is too long to be one row's matter. */
  const checkLength = (to: number): void => {
    if (to - from <= mostRowBytes) return;
    const { openQuote } = scanRecord(kept, from, from + mostRowBytes, delimiters);
    if (openQuote !== undefined || to - from > REJECTABLE_LENGTH * mostRowBytes) throw endless(openQuote);
  };

  return {
    /** The line on which the record begins that is being parsed. */
    line: () => line,

    /** The bytes of that record so far. */
    pending: () => kept.subarray(from),

    /** Adds what is about to be parsed. */
    add(bytes: Buffer): void {
      keptFrom += from;
      kept = from === kept.length ? bytes : Buffer.concat([kept.subarray(from), bytes]);
      from = 0;
    },

    /**
     * Takes a record that csv-parse has found.
     * @param end where it ends, in bytes since the header.
     * @param lines as csv-parse counts them: one more than before, unless there are breaks inside of quotes.
     * @throws {UploadError} `unclosed_quote` or `row_too_long`
     */
    take(values: readonly string[], end: number, lines: number): CsvRecord {
      const to = end - keptFrom;
      checkLength(to);
      // Only few need to be looked at twice.
      const { breaks, bareField } =
        lines - counted > 1 || haveQuote(values) ? scanRecord(kept, from, to, delimiters) : PLAIN;
      const record = { line, bytes: to - from, breaks, bareField };
      counted = lines;
      line += 1 + breaks;
      from = to;
      return record;
    },

    /** @throws {UploadError} when the record that is being parsed is too long already. */
    check: () => checkLength(kept.length),

    /** The error for a file that ends inside of quotes. */
    unclosed(): UploadError {
      const at = lineAt(scanRecord(kept, from, kept.length, delimiters).openQuote ?? kept.length);
      return new UploadError(
        'unclosed_quote',
        `The quoted field that begins on line ${at} is not closed until the end of the file. Close it, or double the quotes that are part of the text.`,
        { line: at },
      );
    },
  };
}
