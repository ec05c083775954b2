import type { BatchRecord } from '@renderyard/shared/batch/batch';
import { rowImageKey } from '@renderyard/shared/batch/batch-layout';
import { rowInput, rowJobId } from '@renderyard/shared/batch/row';
import { isFinal, type Job } from '@renderyard/shared/job/job';
import type { ShownJob } from '../../jobs/job-view.ts';
import type { BatchNow } from './batch-now.ts';
import type { RowNow } from './part-reader.ts';

/**
 * A row as a job.
 * @param live what Redis has of the job from when the row is fed until it ends.
 */
export function rowJob(batch: BatchRecord, row: RowNow, now: BatchNow, live: Job | undefined): ShownJob {
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
