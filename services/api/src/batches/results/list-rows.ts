import { type BatchRecord, PART_ROWS } from '@renderyard/shared/batch/batch';
import { partOfRow } from '@renderyard/shared/batch/row';
import type { BatchNow, RowNow, RowStatus } from '@renderyard/shared/batch/row-status';
import type { PartNow } from './part-reader.ts';
import { readAhead } from './read-ahead.ts';

/** Parts that one request looks through: 20,000 rows, which take a second or two from a bucket. */
export const MOST_PARTS = 20;

export interface FoundRow {
  readonly row: RowNow;
  /** As it was when the row was read. */
  readonly batch: BatchNow;
}

export interface RowsPage {
  readonly rows: readonly FoundRow[];
  /** The row after which to go on; undefined when there is nothing more. */
  readonly next: number | undefined;
}

/**
 * A page of a batch's rows, in order. With a filter few of very many rows may be right: a page ends after
 * {@link MOST_PARTS} parts of {@link PART_ROWS} rows, and may have fewer rows than were asked for, or none.
 * @param after the last row already seen, 0 for none.
 */
export async function listRows(
  {
    record,
    read,
  }: {
    readonly record: Pick<BatchRecord, 'parts' | 'rows'>;
    readonly read: (part: number) => Promise<PartNow>;
  },
  { status, after, limit }: { readonly status: RowStatus | undefined; readonly after: number; readonly limit: number },
): Promise<RowsPage> {
  const begin = partOfRow(record.parts, after + 1);
  if (begin === undefined) return { rows: [], next: undefined };
  const count = Math.min(record.parts.length - begin.part, MOST_PARTS);
  const found: FoundRow[] = [];
  let seen = after;
  for await (const { batch, rows } of readAhead(count, (index) => read(begin.part + index))) {
    for (const row of rows) {
      const number = row.record.row;
      if (number <= after || (status !== undefined && row.status !== status)) continue;
      // One more than was asked for tells that there is more.
      if (found.length === limit) return { rows: found, next: found.at(-1)?.row.record.row };
      found.push({ row, batch });
    }
    seen = rows.at(-1)?.record.row ?? seen;
  }
  return { rows: found, next: seen < record.rows ? seen : undefined };
}
