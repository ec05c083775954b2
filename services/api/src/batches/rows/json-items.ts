import type { RowProblem } from '@renderyard/shared/batch/batch';
import { unknownParameter } from '@renderyard/shared/model/input';
import type { Parameter } from '@renderyard/shared/model/parameter';
import { UploadError } from '../upload-error.ts';
import { isBlank } from './cell.ts';
import { type ColumnRole, type ColumnRoles, foldName } from './column-roles.ts';
import type { ParameterColumn } from './row-maker.ts';
import { rowProblem } from './row-problem.ts';

/** The members of an item in which its parameters may stand. */
const INSIDE = ['input', 'body'];

/** An item of JSON, laid out in columns. */
export interface LaidOut {
  readonly values: readonly unknown[];
  readonly cells: readonly ParameterColumn[];
  readonly idColumn: number | undefined;
  readonly problems: RowProblem[] | undefined;
}

/** The columns of an upload of JSON: its keys in the order in which they were first seen, each in its own spelling. */
export interface JsonColumns {
  readonly columns: readonly string[];
  readonly text: Readonly<Record<string, number>>;
  /** The columns of a name in all its spellings: a list that grows. */
  named(folded: string): readonly number[];
  /** Each column with the line in which it was first seen. */
  lines(): Iterable<readonly [name: string, line: number]>;
  /**
   * @returns undefined for what is no object
   * @throws {UploadError} `too_many_columns`
   */
  layOut(line: number, item: unknown): LaidOut | undefined;
}

interface Column {
  readonly index: number;
  readonly line: number;
  readonly role: ColumnRole;
  readonly kept: boolean;
}

/**
 * An item is an object that is flat, or has its parameters inside `input` or `body`; what is inside is laid out beside
 * the other members, so that a parameter counts wherever it stands.
 *
 * @param used names that templates have, folded
 * @param templated the parameter that a template writes, which is not read from the items
 */
export function createJsonColumns(
  parameters: ReadonlyMap<string, Parameter>,
  roles: ColumnRoles,
  used: ReadonlyMap<string, string>,
  templated: string | undefined,
  mostColumns: number,
): JsonColumns {
  const columns: string[] = [];
  const text: Record<string, number> = {};
  const known = new Map<string, Column>();
  const byName = new Map<string, number[]>();

  function named(folded: string): number[] {
    const found = byName.get(folded) ?? [];
    byName.set(folded, found);
    return found;
  }

  function columnOf(key: string, line: number): Column {
    const found = known.get(key);
    if (found !== undefined) return found;
    if (columns.length >= mostColumns) {
      throw new UploadError(
        'too_many_columns',
        `The items have more than ${mostColumns} different keys, all items together; one too many is ${JSON.stringify(key.slice(0, 80))}. Put what varies into one member, such as metadata.`,
        { line, column: key },
      );
    }
    const folded = foldName(key);
    const { parameters: all, id } = roles.of(folded);
    const role = { id, parameters: all.filter(({ name }) => name !== templated) };
    const kept = all.length === 0 && !id && !used.has(folded);
    const column = { index: columns.length, line, role, kept };
    columns.push(key);
    known.set(key, column);
    named(folded).push(column.index);
    for (const { kind, name } of role.parameters) if (kind === 'text') text[name] ??= column.index;
    return column;
  }

  function layOut(line: number, item: unknown): LaidOut | undefined {
    if (!isObject(item)) return undefined;
    const values: unknown[] = new Array(columns.length).fill(null);
    const cells: ParameterColumn[] = [];
    let idColumn: number | undefined;
    let problems: RowProblem[] | undefined;
    const inside = INSIDE.find((name) => Object.hasOwn(item, name) && isObject(item[name]));

    const twice = (key: string, value: unknown) => {
      problems ??= [];
      problems.push(rowProblem(line, key, 'duplicate_name', value, `${key} is there twice: keep one of them.`));
    };
    const place = (key: string, value: unknown, within: boolean) => {
      const { index, role, kept } = columnOf(key, line);
      while (values.length < index) values.push(null);
      if (!isBlank(values[index])) return twice(key, value);
      values[index] = value;
      if (within && kept) {
        problems ??= [];
        problems.push(
          rowProblem(line, key, 'unknown_parameter', value, unknownParameter(key, parameters.keys()).detail),
        );
      }
      if (isBlank(value)) return;
      for (const parameter of role.parameters) {
        if (cells.some((cell) => cell.parameter === parameter)) twice(key, value);
        else cells.push({ parameter, column: index });
      }
      if (!role.id) return;
      if (idColumn === undefined) idColumn = index;
      else twice(key, value);
    };

    for (const key of Object.keys(item)) {
      if (key !== inside) place(key, item[key], false);
      else for (const [name, value] of Object.entries(item[key] as object)) place(name, value, true);
    }
    return { values, cells, idColumn, problems };
  }

  return {
    columns,
    text,
    named,
    lines: () => [...known].map(([name, { line }]) => [name, line] as const),
    layOut,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
