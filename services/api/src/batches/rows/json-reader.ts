import { warnOfColumns } from './column-warnings.ts';
import { unknownColumns } from './csv-header.ts';
import { createJsonColumns } from './json-items.ts';
import type { RowReader } from './read.ts';
import { prepareMaker, type Reading, rowsRead } from './reading.ts';
import { rowProblem } from './row-problem.ts';

const MOST_COLUMNS = 256;

/** Reads the items of JSON or NDJSON. */
export function createJsonReader(reading: Reading): RowReader {
  const { parameters, roles, used, templated, report, setup } = reading;
  const columns = createJsonColumns(parameters, roles, used, templated, setup.mostColumns ?? MOST_COLUMNS);
  const maker = prepareMaker(reading, columns, columns.named, true);
  let items = 0;
  let ids = 0;

  return {
    read() {
      throw new TypeError('A reader of JSON takes items, not records.');
    },

    readItem(line, item) {
      items++;
      const laidOut = columns.layOut(line, item);
      if (laidOut === undefined) {
        const detail = 'An item must be an object such as {"prompt": "…"}.';
        return maker.reject(line, [], [rowProblem(line, null, 'wrong_type', item, detail)]);
      }
      const { values, cells, idColumn, problems } = laidOut;
      if (idColumn !== undefined) ids++;
      return maker.make(line, values, cells, idColumn, problems);
    },

    reject: (line, values, problem) => maker.reject(line, values, [problem]),
    warn: ({ detail, ...first }) =>
      report.warn(first, (count) => (count === 1 ? detail : `${detail} (${count} times.)`)),

    finish() {
      // Only now it is known which keys there are.
      const missing = [...roles.mapped, ...used].filter(([folded]) => columns.named(folded).length === 0);
      if (reading.keysNeedId && ids === 0) missing.push(['id', 'id']);
      if (items > 0 && missing.length > 0)
        throw unknownColumns([...new Set(missing.map(([, written]) => written))], columns.columns);
      warnOfColumns(columns.lines(), parameters, roles, used, templated, report);
      return rowsRead(reading, columns, maker);
    },
  };
}
