import type { BatchRecord } from '@renderyard/shared/batch/batch';
import { type RowRecord, rowInput, rowJobId } from '@renderyard/shared/batch/row';
import type { RowNow } from '@renderyard/shared/batch/row-status';
import { toCredits } from '@renderyard/shared/credits/amount';

/** A row as one line of JSON, its own values exactly as they were given. */
export function resultLine(record: BatchRecord, row: RowNow, publicUrl: string): string {
  const { record: given, status, result } = row;
  const job = rowJobId(record.id, given.row);
  const images = status === 'succeeded' ? (result?.output ?? []) : [];
  const line = {
    row: given.row,
    line: given.line,
    id: given.id ?? null,
    status,
    input: rowInput(record, given),
    columns: columnsOf(record, given),
    output: images.map((image) => ({ url: `${publicUrl}/v1/jobs/${job}/image`, ...image })),
    error: (status === 'failed' ? result?.error : undefined) ?? null,
    attempts: result?.attempts ?? 0,
    uncertain: result?.uncertain ?? 0,
    cost: toCredits(result?.cost ?? 0),
    seed: images[0]?.seed ?? given.seed,
    job_id: job,
    started_at: timeOrNull(result?.started_at),
    ended_at: status === 'succeeded' || status === 'failed' ? timeOrNull(result?.ended_at) : null,
  };
  return `${JSON.stringify(line)}\n`;
}

/** The row as it was given: the name of each column that it has, and its value. */
export function columnsOf({ columns }: Pick<BatchRecord, 'columns'>, { values }: RowRecord): Record<string, unknown> {
  return Object.fromEntries(columns.flatMap((name, index) => (index < values.length ? [[name, values[index]]] : [])));
}

function timeOrNull(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString();
}
