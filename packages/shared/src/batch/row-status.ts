import type { BatchState } from './batch-state.ts';
import type { RowRecord } from './row.ts';
import type { RowResult } from './row-result.ts';

/** What the state of its batch means for a row. */
export type BatchNow = Pick<BatchState, 'status' | 'hold' | 'runs' | 'endedAt'>;

/** The states of a row; the last three are final until the failed rows are retried. */
export const ROW_STATUSES = ['queued', 'processing', 'succeeded', 'failed', 'canceled'] as const;
export type RowStatus = (typeof ROW_STATUSES)[number];

/** A row with what is known of it. `result` of a row that is due again tells of its earlier run. */
export interface RowNow {
  readonly record: RowRecord;
  readonly status: RowStatus;
  readonly result: RowResult | undefined;
}

/**
 * What has become of a row. A row that failed in an earlier run is due again: the result only tells its history then.
 * @param isProcessing it has a call in flight, or a ticket.
 */
export function rowStatus(
  result: RowResult | undefined,
  { status, runs }: Pick<BatchNow, 'status' | 'runs'>,
  isProcessing: boolean,
): RowStatus {
  if (result !== undefined && (result.status === 'succeeded' || result.run >= runs)) return result.status;
  if (status === 'canceled') return 'canceled';
  return isProcessing ? 'processing' : 'queued';
}

/** Of two results of one row the one that was written later. */
export function laterResult(stored: RowResult | undefined, fresh: RowResult): RowResult {
  return stored === undefined ||
    fresh.run > stored.run ||
    (fresh.run === stored.run && fresh.ended_at >= stored.ended_at)
    ? fresh
    : stored;
}
