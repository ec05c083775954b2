import { toCredits } from '../credits/amount.ts';
import type { Logger } from '../logger.ts';
import type { Job, JobStatus } from './job.ts';
import type { JobTotals } from './job-end.ts';

/** What the one line of a job in the log tells, whoever has ended it: no prompt, and of an error only its code. */
export function jobRecord(
  job: Pick<Job, 'id' | 'batch' | 'row' | 'account' | 'origin' | 'model'>,
  status: JobStatus | 'parked' | 'gone',
  { attempts, uncertain, cost, createdAt, startedAt, endedAt }: JobTotals,
  errorCode: string | undefined,
) {
  return {
    job: job.id,
    batch: job.batch,
    row: job.row,
    account: job.account,
    request_id: job.origin?.request,
    model: job.model,
    status,
    error_code: status === 'failed' || status === 'expired' ? errorCode : undefined,
    attempts,
    uncertain,
    cost: toCredits(cost),
    // Clocks differ: the API says when a job was accepted, Redis when it began and ended.
    wait_ms: startedAt === undefined ? undefined : Math.max(0, startedAt - createdAt),
    total_ms: Math.max(0, endedAt - createdAt),
  };
}

/** Writes that line for a job that ended without a worker: it was canceled, or its time was over. */
export function logEndedJob(job: Job, logger: Logger): void {
  const { createdAt, endedAt = createdAt } = job;
  logger.info(jobRecord(job, job.status, { ...job, endedAt }, job.error?.code), 'job');
}
