import type { BatchRecord, RowsPart } from './batch.ts';

/** One accepted row: a line of a rows part. */
export interface RowRecord {
  /** From 1, without gaps, in the order of the upload. */
  readonly row: number;
  /** Line of the upload at which the row begins, from 1; of a JSON array the number of the item. */
  readonly line: number;
  /** The user's own, from the column `id` or `custom_id`. */
  readonly id?: string;
  /** Name of the image, less folder and extension; unique in the batch. */
  readonly key: string;
  readonly seed: number;
  /** What this row says itself, less what stands in a column byte for byte: numbers, templated texts. */
  readonly input?: Readonly<Record<string, unknown>>;
  /** The row as it was given, in the order of the batch's columns: texts of CSV, any JSON of JSON; null where it has none. */
  readonly values: readonly unknown[];
}

/** The body of the row's call, complete. */
export function rowInput(
  batch: Pick<BatchRecord, 'base' | 'text'>,
  row: Pick<RowRecord, 'seed' | 'input' | 'values'>,
): Readonly<Record<string, unknown>> {
  const input: Record<string, unknown> = { prompt: '', ...batch.base, seed: row.seed };
  for (const [parameter, column] of Object.entries(batch.text)) {
    const value = row.values[column];
    if (typeof value === 'string' && value.trim() !== '') input[parameter] = value;
  }
  return Object.assign(input, row.input);
}

/**
 * The id of a row's job: the batch's id and the row, so that either is found from the other and a row keeps its identity
 * whatever is retried or rebuilt.
 */
export function rowJobId(batch: string, row: number): string {
  return `job_${batch.slice('bat_'.length)}_${row}`;
}

const ROW_JOB = /^job_([0-9a-hjkmnp-tv-z]{26})_([1-9]\d{0,9})$/;

/** The row that a job's id names; undefined for a job outside a batch, or no id at all. */
export function parseRowJobId(id: string): { readonly batch: string; readonly row: number } | undefined {
  const match = ROW_JOB.exec(id);
  return match === null ? undefined : { batch: `bat_${match[1]}`, row: Number(match[2]) };
}

/** Which part holds a row, and the first row of that part; undefined for a row that the batch does not have. */
export function partOfRow(
  parts: readonly Pick<RowsPart, 'rows'>[],
  row: number,
): { readonly part: number; readonly first: number } | undefined {
  let first = 1;
  for (let part = 0; part < parts.length; part++) {
    const { rows } = parts[part] as RowsPart;
    if (row >= first && row < first + rows) return { part, first };
    first += rows;
  }
  return undefined;
}
