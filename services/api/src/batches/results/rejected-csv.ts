import type { BatchRecord, RowProblem } from '@renderyard/shared/batch/batch';
import { rejectedKey } from '@renderyard/shared/batch/batch-layout';
import { parseLines } from '@renderyard/shared/batch/lines';
import type { Store } from '@renderyard/shared/store/store';
import { REJECTED_COLUMNS } from '../rows/own-rejected.ts';
import { cellOf, csvText } from './csv-text.ts';

/** A line of a part of rejected rows. */
export interface RejectedRow {
  readonly line: number;
  readonly values: readonly unknown[];
  readonly problems: readonly RowProblem[];
}

/** @throws {Error} when the part is missing: somebody deleted it. */
export async function readRejected(
  store: Store,
  record: BatchRecord,
  part: number,
  signal: AbortSignal,
): Promise<readonly RejectedRow[]> {
  const key = rejectedKey(record.id, record.upload, part);
  const object = await store.get(key, { signal });
  if (object === undefined) throw new Error(`The store has lost ${key}: rejected rows of the batch cannot be read.`);
  const chunks: Buffer[] = [];
  for await (const chunk of object.body) chunks.push(chunk as Buffer);
  return parseLines<RejectedRow>(Buffer.concat(chunks).toString('utf8'));
}

/** Formulas are always made harmless: reading the file takes one mark off each, and would take one of the row's own. */
export function rejectedHeader({ columns }: Pick<BatchRecord, 'columns'>): string {
  return csvText([[...columns, ...REJECTED_COLUMNS]], 'escape');
}

/**
 * Rejected rows as they were given, with what is wrong with each. Fields that it has beyond the columns come last, behind
 * ours: nothing is lost, every other cell stands under its name, and the row is refused again until they are put right.
 */
export function rejectedRecords({ columns }: Pick<BatchRecord, 'columns'>, rows: readonly RejectedRow[]): string {
  return csvText(
    rows.map((row) => cellsOf(columns, row)),
    'escape',
  );
}

function cellsOf(columns: readonly string[], { line, values, problems }: RejectedRow): string[] {
  const [first, ...further] = problems;
  const detail = [
    first?.detail ?? '',
    ...further.map((problem) => (problem.column === null ? '' : `${problem.column}: `) + problem.detail),
  ].join(' | ');
  const own = columns.map((_name, index) => cellOf(values[index]));
  const surplus = values.slice(columns.length).map(cellOf);
  return [...own, String(line), first?.column ?? '', first?.code ?? '', detail, ...surplus];
}
