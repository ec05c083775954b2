import type { Nanocredits } from '../credits/amount.ts';
import type { Image, JobError } from '../job/job.ts';

/** How a row ended: a line of a results part. Rows that were never rendered (canceled) have none. */
export interface RowResult {
  readonly row: number;
  /** In which run of the batch: 0, and one more with each retry of its failed rows. */
  readonly run: number;
  readonly status: 'succeeded' | 'failed';
  readonly output?: readonly Image[];
  readonly error?: JobError;
  /** Over all runs: calls made, calls whose outcome is unknown, credits settled. */
  readonly attempts: number;
  readonly uncertain: number;
  readonly cost: Nanocredits;
  /** Milliseconds since 1970; started_at is that of the first call, null when none was made. */
  readonly started_at: number | null;
  readonly ended_at: number;
}

/** The same, also of a row that was not rendered because its batch was canceled: then of its earlier runs. */
export type RowEnd = Omit<RowResult, 'status'> & { readonly status: RowResult['status'] | 'canceled' };
