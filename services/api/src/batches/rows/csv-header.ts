import { nearestName } from '@renderyard/shared/model/near-name';
import type { Parameter } from '@renderyard/shared/model/parameter';
import { UploadError } from '../upload-error.ts';
import { type ColumnRoles, foldName } from './column-roles.ts';
import type { Report } from './report.ts';
import type { ParameterColumn } from './row-maker.ts';
import { rowProblem } from './row-problem.ts';

/** A header shows so many of its names where all would be too many. */
const NAMES_SHOWN = 20;

/** What a header says. */
export interface CsvHeader {
  readonly cells: readonly ParameterColumn[];
  readonly idColumn: number | undefined;
  /** The column of a name, in a list of one; undefined where there is none. */
  readonly named: (folded: string) => readonly [number] | undefined;
}

/**
 * Finds out which column is what.
 *
 * @param used names that templates have, folded
 * @throws {UploadError} `unknown_column` when an option names a column that is not there, `duplicate_column` when what is
 * read stands in two columns
 */
export function readHeader(
  columns: readonly string[],
  roles: ColumnRoles,
  used: ReadonlyMap<string, string>,
  report: Report,
): CsvHeader {
  const byName = new Map<string, number[]>();
  columns.forEach((column, index) => {
    const folded = foldName(column);
    const same = byName.get(folded);
    if (same === undefined) byName.set(folded, [index]);
    else same.push(index);
  });

  const missing = [...roles.mapped, ...used].filter(([folded]) => !byName.has(folded)).map(([, written]) => written);
  if (missing.length > 0) throw unknownColumns([...new Set(missing)], columns);

  const cells = new Map<Parameter, number>();
  let idColumn: number | undefined;
  for (const [folded, indexes] of byName) {
    const [first = 0, second] = indexes;
    const { parameters, id } = roles.of(folded);
    const read = parameters.length > 0 || id || used.has(folded);
    if (second !== undefined && read) throw sameColumns(columns, first, second);
    if (second !== undefined && folded !== '') warnRepeated(columns, indexes, report);
    if (folded === '') warnEmpty(indexes, report);
    for (const parameter of parameters) cells.set(parameter, first);
    if (!id) continue;
    if (idColumn !== undefined) throw sameColumns(columns, idColumn, first);
    idColumn = first;
  }
  return {
    cells: [...cells].map(([parameter, column]) => ({ parameter, column })),
    idColumn,
    named: (folded) => {
      const index = byName.get(folded)?.[0];
      return index === undefined ? undefined : [index];
    },
  };
}

/** The names of columns, for a text: not more than fit one. */
export function listNames(columns: readonly string[]): string {
  const shown = columns.slice(0, NAMES_SHOWN).map((name) => name.trim().slice(0, 60) || '(no name)');
  return columns.length > shown.length ? `${shown.join(', ')}, … (${columns.length} in all)` : shown.join(', ');
}

/** An option names columns that the upload does not have. */
export function unknownColumns(missing: readonly string[], columns: readonly string[]): UploadError {
  const [first = ''] = missing;
  const near = nearestName(
    first,
    columns.map((name) => name.trim()),
    2,
  );
  const names = missing.map((name) => JSON.stringify(name.slice(0, 80))).join(', ');
  return new UploadError(
    'unknown_column',
    `An option names ${missing.length === 1 ? 'a column' : 'columns'} that the upload does not have: ${names}.${near === undefined ? '' : ` Did you mean ${near}?`} The columns are ${listNames(columns)}.`,
    { column: first },
  );
}

function sameColumns(columns: readonly string[], a: number, b: number): UploadError {
  const [first, second] = a < b ? [a, b] : [b, a];
  const names = [first, second].map((index) => JSON.stringify((columns[index] ?? '').slice(0, 80)));
  return new UploadError(
    'duplicate_column',
    `Columns ${first + 1} (${names[0]}) and ${second + 1} (${names[1]}) mean the same. Rename or remove one of them.`,
    { line: 1, column: columns[second] },
  );
}

function warnRepeated(columns: readonly string[], indexes: readonly number[], report: Report): void {
  const name = columns[indexes[0] ?? 0] ?? '';
  const places = indexes.map((index) => index + 1).join(', ');
  report.warn(
    rowProblem(1, name, 'repeated_column_name', name, ''),
    () => `The columns ${places} have the same name. All are kept.`,
  );
}

function warnEmpty(indexes: readonly number[], report: Report): void {
  const places = indexes.map((index) => index + 1).join(', ');
  report.warn(rowProblem(1, null, 'empty_column_name', undefined, ''), () =>
    indexes.length === 1
      ? `Column ${places} has no name. It is kept.`
      : `The columns ${places} have no name. They are kept.`,
  );
}
