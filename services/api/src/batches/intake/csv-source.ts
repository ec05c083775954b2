import { CsvError, type Parser, parse } from 'csv-parse';
import { isOwnRejected, REJECTED_COLUMNS } from '../rows/own-rejected.ts';
import type { Read, RowReader } from '../rows/read.ts';
import { UploadError } from '../upload-error.ts';
import { type CsvStart, createHeaderFinder, tooManyColumns } from './csv-header.ts';
import { type CsvRecord, createRecordWindow } from './csv-window.ts';
import { MOST_COLUMNS } from './limits.ts';
import { bareQuote, rowTooLong, wrongFieldCount } from './row-problems.ts';
import { countBreaks, type TextSource } from './text-source.ts';

/**
 * How csv-parse is told to read: every kind of line break ends a record, also where a file mixes them; records of any
 * length and number of fields come out, and are judged here.
 */
export const CSV_OPTIONS = {
  record_delimiter: ['\r\n', '\n', '\r'],
  relax_quotes: true,
  relax_column_count: true,
};

const LF = 0x0a;
const CR = 0x0d;

export interface CsvSourceOptions {
  /** If it is known; else `,` `;` or TAB, whichever the header has most of outside of quotes. */
  readonly delimiter: string | undefined;
  readonly mostRowBytes: number;
  /** Called once, with the columns of the header. */
  readonly open: (columns: readonly string[], delimiter: string) => RowReader;
  readonly take: (read: Read) => void;
}

/** CSV and TSV. Line numbers are those of the file. */
export function createCsvSource({ delimiter, mostRowBytes, open, take }: CsvSourceOptions): TextSource {
  const finder = createHeaderFinder({ delimiter, mostRowBytes });
  let records: ReturnType<typeof createRecords> | undefined;

  const start = async (found: CsvStart) => {
    records = createRecords({ found, mostRowBytes, open, take });
    await records.push(found.rest);
  };

  return {
    line: () => records?.line() ?? finder.line(),

    async push(text) {
      if (records !== undefined) return records.push(text);
      const found = finder.push(text);
      if (found !== undefined) await start(found);
    },

    async end() {
      const found = records === undefined ? finder.end() : undefined;
      if (found !== undefined) await start(found);
      await records?.end();
    },
  };
}

/** The records of a file from its header on. */
function createRecords({
  found,
  mostRowBytes,
  open,
  take,
}: { readonly found: CsvStart } & Pick<CsvSourceOptions, 'mostRowBytes' | 'open' | 'take'>): TextSource {
  const { delimiter } = found;
  const window = createRecordWindow({ line: found.line, delimiter, mostRowBytes });
  let reader: RowReader | undefined;
  let columns: readonly string[] = [];

  const onRecord = (values: string[]): void => {
    // csv-parse compares with the length of record 0, and makes a costly error of each that differs: some 50 µs.
    (info as { records: number }).records = 0;
    const record = window.take(values, info.bytes, info.lines);
    if (reader !== undefined) {
      judge(reader, record, values);
      return;
    }
    if (values.length > MOST_COLUMNS) throw tooManyColumns(String(values.length), record.line);
    columns = values;
    reader = open(values, delimiter);
  };

  const judge = (to: RowReader, record: CsvRecord, values: string[]): void => {
    const { line } = record;
    if (values.length === 1 && values[0]?.trim() === '') {
      take({ kind: 'blank' });
      return;
    }
    const { bareField } = record;
    if (bareField !== undefined) to.warn(bareQuote(line, columns[bareField] ?? null, values[bareField] ?? ''));
    if (record.bytes > mostRowBytes) take(to.reject(line, values, rowTooLong(line, record.bytes, mostRowBytes)));
    else if (values.length === columns.length) take(to.read(line, values));
    else {
      // Of our own list of rejected rows: who corrects it looks at the columns of the upload.
      const ours = values.length > columns.length && isOwnRejected(columns) ? REJECTED_COLUMNS.length : 0;
      const problem = wrongFieldCount(line, values.length - ours, columns.length - ours, record.breaks);
      take(to.reject(line, values, problem));
    }
  };

  const parser: Parser = parse({ ...CSV_OPTIONS, delimiter });
  const { info } = parser;
  // Records are taken as they are pushed, without waiting in the stream: `info` still tells of them, and what is thrown
  // here ends the parsing there. `on_record` does the same at the cost of two objects for each.
  const push = parser.push.bind(parser);
  parser.push = (values: string[] | null) => {
    if (values === null) return push(null);
    onRecord(values);
    return true;
  };
  const lineEnds = createLineEnds(parser);
  // What goes wrong is told by the callbacks of write and end.
  parser.on('error', () => {});
  const settle = (call: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => {
      call((error) => (error ? reject(error) : resolve()));
    });

  return {
    line: () => window.line() + countBreaks(window.pending()),

    async push(text) {
      window.add(text);
      lineEnds.before(text);
      await settle((done) => parser.write(text, done));
      window.check();
    },

    async end() {
      try {
        await settle((done) => parser.end(done));
      } catch (error) {
        if (error instanceof CsvError && error.code === 'CSV_QUOTE_NOT_CLOSED') throw window.unclosed();
        throw error;
      }
      if (reader === undefined) throw new UploadError('empty_upload');
    },
  };
}

/**
 * Has csv-parse look for LF alone until the first CR comes: it compares every byte outside of quotes with each record
 * delimiter, and most files have one kind. What it finds is the same, for neither CR nor CRLF is in what it looks at.
 */
function createLineEnds({ options }: Parser) {
  const settings = options as { record_delimiter: readonly Uint8Array[] };
  const all = settings.record_delimiter;
  settings.record_delimiter = all.filter((bytes) => bytes.length === 1 && bytes[0] === LF);
  let seen = false;
  return {
    /** To be called with all that is about to be parsed. */
    before(text: Buffer): void {
      if (seen || !text.includes(CR)) return;
      seen = true;
      settings.record_delimiter = all;
    },
  };
}
