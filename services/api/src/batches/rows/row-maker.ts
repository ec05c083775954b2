import type { RowProblem } from '@renderyard/shared/batch/batch';
import { type RowRecord, rowInput } from '@renderyard/shared/batch/row';
import type { Parameter } from '@renderyard/shared/model/parameter';
import { type BoundPiece, fillTemplate, templateProblems } from './bound-template.ts';
import { isBlank, readCell } from './cell.ts';
import type { CostClasses } from './cost-classes.ts';
import type { Defaults } from './defaults.ts';
import type { Read, RowPreview } from './read.ts';
import type { Report } from './report.ts';
import type { RowKeys } from './row-keys.ts';
import { MOST_ROW_PROBLEMS, type RowProblemCode, rowProblem } from './row-problem.ts';
import type { SeenTexts } from './seen-texts.ts';

const PREVIEWED = 5;
/** The parameter that `prompt_template` writes. */
export const PROMPT = 'prompt';

/** A column that is read for a parameter. */
export interface ParameterColumn {
  readonly parameter: Parameter;
  readonly column: number;
}

/** Where things stand in the records of an upload. Of JSON `columns` and `text` grow as items bring new keys. */
export interface RowPlaces {
  readonly columns: readonly string[];
  /** Parameters whose value is the text of a column, as in the batch's record. */
  readonly text: Readonly<Record<string, number>>;
}

export interface RowMakerSetup {
  readonly parameters: ReadonlyMap<string, Parameter>;
  readonly places: RowPlaces;
  readonly defaults: Defaults;
  readonly promptTemplate: readonly BoundPiece[] | undefined;
  /** All pieces of the key template, one after the other. */
  readonly keyTemplate: readonly BoundPiece[] | undefined;
  readonly keys: RowKeys;
  readonly classes: CostClasses;
  readonly report: Report;
  /** The ids so far. */
  readonly ids: SeenTexts;
  readonly seed: () => number;
}

/** Makes rows of records whose columns are known. */
export interface RowMaker {
  /**
   * @param cells where this record has parameters, none twice
   * @param problems what is wrong with it already
   */
  make(
    line: number,
    values: readonly unknown[],
    cells: readonly ParameterColumn[],
    idColumn: number | undefined,
    problems?: RowProblem[],
  ): Read;
  reject(line: number, values: readonly unknown[], problems: readonly RowProblem[]): Read;
  readonly rows: number;
  readonly preview: readonly RowPreview[];
  readonly classes: CostClasses;
}

export function createRowMaker(setup: RowMakerSetup): RowMaker {
  const { parameters, places, defaults, promptTemplate, keyTemplate, keys, classes, report, ids, seed: draw } = setup;
  const { base } = defaults;
  const prompt = parameters.get(PROMPT);
  const needed = [...parameters.values()].filter(
    ({ name, required }) => required && base[name] === undefined && !(name === PROMPT && promptTemplate !== undefined),
  );
  const preview: RowPreview[] = [];
  let rows = 0;

  const spelling = (column: number | undefined) => (column === undefined ? null : (places.columns[column] ?? null));

  function reject(line: number, values: readonly unknown[], problems: readonly RowProblem[]): Read {
    const told = problems.slice(0, MOST_ROW_PROBLEMS);
    report.reject(told);
    return { kind: 'rejected', line, values, problems: told };
  }

  /** The row's own id, or what is wrong with it. */
  function readId(line: number, value: unknown): string | { code: RowProblemCode; detail: string } {
    if (typeof value !== 'string' && typeof value !== 'number')
      return { code: 'wrong_type', detail: 'An id must be text or a number.' };
    const id = String(value);
    if (!id.isWellFormed())
      return { code: 'invalid_format', detail: 'The id holds half of a surrogate pair, which no encoding can carry.' };
    const before = ids.add(id, line);
    if (before === undefined) return id;
    return {
      code: 'duplicate_id',
      detail: `The id of line ${before} is the same: each id must be there once, or be left blank.`,
    };
  }

  return {
    make(line, values, cells, idColumn, found) {
      let problems = found;
      const fail = (column: string | null, code: RowProblemCode, value: unknown, detail: string) => {
        problems ??= [];
        problems.push(rowProblem(line, column, code, value === '' ? undefined : value, detail));
      };

      let input: Record<string, unknown> | undefined;
      let aspect: string | undefined;
      let seed = defaults.seed;
      let required = 0;
      for (const { parameter, column } of cells) {
        const value = values[column];
        if (isBlank(value)) continue;
        if (needed.includes(parameter)) required++;
        const read = readCell(parameter, value);
        if (typeof read === 'object') fail(spelling(column), read.code, value, read.detail);
        else if (parameter.seed) seed = typeof read === 'number' ? read : undefined;
        else if (read !== base[parameter.name]) {
          if (parameter.name === 'aspect_ratio') aspect = read as string;
          if (parameter.kind === 'text' && places.text[parameter.name] === column) continue;
          input ??= {};
          input[parameter.name] = read;
        }
      }
      if (required < needed.length) {
        for (const parameter of needed) {
          const column = cells.find((cell) => cell.parameter === parameter)?.column;
          if (column !== undefined && !isBlank(values[column])) continue;
          const value = column === undefined ? undefined : values[column];
          fail(spelling(column), 'required', value ?? undefined, parameter.missing().detail);
        }
      }

      let id: string | undefined;
      if (idColumn !== undefined && !isBlank(values[idColumn])) {
        const read = readId(line, values[idColumn]);
        if (typeof read === 'string') id = read;
        else fail(spelling(idColumn), read.code, values[idColumn], read.detail);
      }

      if (promptTemplate !== undefined && prompt !== undefined) {
        const blank = templateProblems('prompt_template', promptTemplate, values, id);
        if (blank === undefined) {
          const text = fillTemplate(promptTemplate, values, () => '');
          const problem = prompt.check(text);
          if (problem !== undefined) fail(null, problem.code, text, `With the row's values put in, ${problem.detail}`);
          input ??= {};
          input[PROMPT] = text;
        } else for (const one of blank) fail(spelling(one.column) ?? one.name, one.code, one.value, one.detail);
      }
      if (keyTemplate !== undefined) {
        for (const one of templateProblems('key_template', keyTemplate, values, id) ?? []) {
          const column = spelling(one.column ?? idColumn) ?? one.name;
          // What is wrong with a cell was told already.
          if (!problems?.some((problem) => problem.column === column)) fail(column, one.code, one.value, one.detail);
        }
      }
      if (problems !== undefined) return reject(line, values, problems);

      const row = rows + 1;
      const taken = keys.take({ row, line, id, values }, seed ?? draw(), seed === undefined ? draw : undefined);
      if ('takenBy' in taken) {
        const detail = `The image would have the same key as that of line ${taken.takenBy}, or one that some file systems take for the same. Give the row another value, or add {{row}} to key_template.`;
        return reject(line, values, [rowProblem(line, null, 'duplicate_key', taken.key, detail)]);
      }
      rows = row;
      classes.add(aspect === undefined ? input : { ...input, aspect_ratio: aspect });
      const record = toRecord(row, line, id, taken.key, taken.seed, input, values);
      if (preview.length < PREVIEWED) {
        const whole = rowInput({ base, text: places.text }, record);
        preview.push({ row, line, id: id ?? null, key: taken.key, input: whole });
      }
      return { kind: 'row', row: record };
    },

    reject,
    get rows() {
      return rows;
    },
    preview,
    classes,
  };
}

/** A record without members that say nothing. */
function toRecord(
  row: number,
  line: number,
  id: string | undefined,
  key: string,
  seed: number,
  input: Readonly<Record<string, unknown>> | undefined,
  values: readonly unknown[],
): RowRecord {
  if (id === undefined)
    return input === undefined ? { row, line, key, seed, values } : { row, line, key, seed, input, values };
  return input === undefined ? { row, line, id, key, seed, values } : { row, line, id, key, seed, input, values };
}
