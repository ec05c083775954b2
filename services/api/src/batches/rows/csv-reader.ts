import { UploadError } from '../upload-error.ts';
import { isBlank } from './cell.ts';
import { warnOfColumns } from './column-warnings.ts';
import { type CsvHeader, listNames, readHeader, unknownColumns } from './csv-header.ts';
import { asUploaded, isOwnRejected, REJECTED_COLUMNS } from './own-rejected.ts';
import type { Read, RowReader } from './read.ts';
import { prepareMaker, type Reading, rowsRead } from './reading.ts';
import { rowProblem } from './row-problem.ts';

const BLANK: Read = { kind: 'blank' };

/**
 * Reads the records of CSV.
 *
 * @throws {UploadError} `no_prompt`, `duplicate_column`, `unknown_column`
 */
export function createCsvReader(reading: Reading, header: readonly string[]): RowReader {
  const { roles, used, parameters, templated, report, defaults } = reading;
  const own = isOwnRejected(header);
  const width = header.length - REJECTED_COLUMNS.length;
  const columns = own ? asUploaded(header, width) : header;
  const { cells, idColumn, named } = readHeader(columns, roles, used, report);
  const read = cells.filter(({ parameter }) => parameter.name !== templated);
  const lacking = [...parameters.values()].find(
    ({ name, required }) =>
      required &&
      name !== templated &&
      defaults.base[name] === undefined &&
      !read.some(({ parameter }) => parameter.name === name),
  );
  if (lacking !== undefined) throw noColumn(lacking.name, columns);
  if (reading.keysNeedId && idColumn === undefined) throw unknownColumns(['id'], columns);
  const lines = columns.map((name) => [name, 1] as const);
  warnOfColumns(lines, parameters, roles, used, templated, report);

  const text = textColumns(read);
  const places = { columns, text };
  const maker = prepareMaker(reading, places, named, idColumn !== undefined);

  return {
    read(line, given) {
      const values = own ? asUploaded(given, width) : given;
      if (values.every(isBlank)) {
        report.warn(rowProblem(line, null, 'blank_rows', undefined, ''), (count, where) =>
          count === 1 ? `A blank row was skipped: ${where}.` : `${count} blank rows were skipped: ${where}.`,
        );
        return BLANK;
      }
      return maker.make(line, values, read, idColumn);
    },

    readItem() {
      throw new TypeError('A reader of CSV takes records, not items.');
    },

    reject: (line, values, problem) => maker.reject(line, own ? asUploaded(values, width) : values, [problem]),
    warn: ({ detail, ...first }) =>
      report.warn(first, (count) => (count === 1 ? detail : `${detail} (${count} times.)`)),
    finish: () => rowsRead(reading, places, maker),
  };
}

/** The parameters that are the text of a column, byte for byte. */
function textColumns(cells: CsvHeader['cells']): Record<string, number> {
  const text = cells.filter(({ parameter }) => parameter.kind === 'text');
  return Object.fromEntries(text.map(({ parameter, column }) => [parameter.name, column]));
}

function noColumn(name: string, columns: readonly string[]): UploadError {
  return new UploadError(
    'no_prompt',
    `There is no column ${name}. The columns are ${listNames(columns)}. Rename the one that is meant, name it with columns=${name}:<its name>, or give a prompt_template.`,
    { line: 1 },
  );
}
