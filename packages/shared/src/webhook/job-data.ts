import type { BatchRecord } from '../batch/batch.ts';
import type { RowRecord } from '../batch/row.ts';
import { rowJob } from '../batch/row-job.ts';
import type { RowEnd } from '../batch/row-result.ts';
import { type JobView, type ShownJob, viewJob } from '../job/job-view.ts';
import { type BodyData, omit, pick } from './fit-body.ts';

/** Ids, numbers, times and words of ours; the `error` without its text. */
const SHORT: readonly (keyof JobView)[] = [
  ...(['id', 'object', 'status', 'cancel_requested', 'error', 'attempts', 'uncertain', 'cost'] as const),
  ...(['batch_id', 'row', 'created_at', 'started_at', 'ended_at', 'expires_at'] as const),
];

/** How a job is shown that has ended, so that no hold concerns it. */
export interface JobContext {
  readonly publicUrl: string;
  /** When it ended, in milliseconds since 1970. */
  readonly at: number;
}

/**
 * What a webhook tells of a job: what a GET shows.
 * @param unknown fields that cannot be told.
 */
export function jobData(
  job: ShownJob,
  { publicUrl, at }: JobContext,
  unknown: readonly (keyof JobView)[] = [],
): BodyData {
  return {
    data: omit(viewJob(job, { publicUrl, holds: [], now: at }), unknown),
    isCut: unknown.length > 0,
    less: (data) => omit(data, ['input', 'metadata']),
    least: (data) => ({ ...pick(data, SHORT), error: job.error === undefined ? null : { code: job.error.code } }),
  };
}

/** A row that ended, and what the store still has of what was submitted: nothing once its batch was deleted. */
export interface EndedRow {
  readonly batch: string;
  readonly account: string;
  readonly result: RowEnd;
  readonly record: BatchRecord | undefined;
  readonly row: RowRecord | undefined;
}

/** The same of the job of a row; what only the store would say is left out where that has lost it. */
export function rowData({ batch, account, result, record, row }: EndedRow, context: JobContext): BodyData {
  const { status } = result;
  const job = rowJob(
    record ?? { id: batch, account, model: '', created_at: context.at, base: {}, text: {} },
    {
      record: row ?? { row: result.row, key: '', seed: 0, values: [] },
      status,
      result: { ...result, status: status === 'canceled' ? 'failed' : status },
    },
    // Of a row that ended, the state of its batch says nothing.
    { status: 'running', hold: undefined, runs: result.run, endedAt: result.ended_at },
    undefined,
  );
  if (record === undefined) return jobData(job, context, ['input', 'model', 'created_at']);
  return jobData(job, context, row === undefined ? ['input'] : []);
}
