import { isFinal, type Job } from '../job/job.ts';
import type { ShownJob } from '../job/job-view.ts';
import type { BatchRecord } from './batch.ts';
import { rowImageKey } from './batch-layout.ts';
import { type RowRecord, rowInput, rowJobId } from './row.ts';
import type { BatchNow, RowNow } from './row-status.ts';

/**
 * A row as a job.
 * @param live what Redis has of the job from when the row is fed until it ends.
 */
export function rowJob(
  batch: Pick<BatchRecord, 'id' | 'account' | 'model' | 'base' | 'text' | 'created_at'>,
  row: Pick<RowNow, 'status' | 'result'> & { readonly record: Omit<RowRecord, 'line'> },
  now: BatchNow,
  live: Job | undefined,
): ShownJob {
  const { record, status, result } = row;
  const ended = status === 'succeeded' || status === 'failed' ? result : undefined;
  const running = isFinal(status) ? undefined : live;
  // Of a row that is due again, the result tells of its earlier runs, and Redis of this one.
  const total = (name: 'attempts' | 'uncertain' | 'cost') => (result?.[name] ?? 0) + (running?.[name] ?? 0);
  return {
    id: rowJobId(batch.id, record.row),
    account: batch.account,
    batch: batch.id,
    row: record.row,
    run: now.runs,
    status,
    model: batch.model,
    input: rowInput(batch, record),
    metadata: {},
    webhook: undefined,
    webhookEvents: undefined,
    output: status === 'succeeded' ? (result?.output ?? []) : [],
    error: status === 'failed' ? result?.error : undefined,
    attempts: total('attempts'),
    tries: running?.tries ?? 0,
    uncertain: total('uncertain'),
    uncertainTries: running?.uncertainTries ?? 0,
    cost: total('cost'),
    cancelRequested: status === 'processing' && now.status === 'canceling',
    call: running?.call ?? '',
    ticket: running?.ticket ?? 0,
    createdAt: batch.created_at,
    startedAt: result?.started_at ?? running?.startedAt,
    endedAt: status === 'canceled' ? now.endedAt : ended?.ended_at,
    expiresAt: undefined,
    imageKey: rowImageKey(batch.id, record.key),
    batchHold: now.hold,
  };
}
