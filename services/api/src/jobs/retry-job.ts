import { logEndedJob } from '@renderyard/shared/job/job-record';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { Logger } from '@renderyard/shared/logger';
import { ProblemError } from '../errors/problem-error.ts';
import type { Feeder } from './feeder.ts';

/**
 * Lets an ended job run again under its id. One whose image was paid for and stored, although it was canceled, has
 * succeeded at once.
 * @param again the request was begun before and broke off: a job that waits or runs by now does so because of it.
 * @throws {ProblemError} `job_not_retryable`, `backlog_full`, `not_found`.
 */
export async function retryJob(
  {
    jobs,
    feedQueue,
    mostWaiting,
    logger,
  }: {
    readonly jobs: JobStore;
    readonly feedQueue: Feeder;
    readonly mostWaiting: number;
    readonly logger: Logger;
  },
  { id, again }: { readonly id: string; readonly again: boolean },
): Promise<void> {
  const status = await jobs.retry(id, mostWaiting);
  switch (status) {
    case 'queued':
      return feedQueue();
    case 'succeeded': {
      const job = await jobs.get(id);
      if (job?.status === 'succeeded') logEndedJob(job, logger);
      return;
    }
    case 'missing':
      throw new ProblemError('not_found');
    case 'full':
      throw new ProblemError('backlog_full', undefined, { retryAfter: 10 });
    case 'refused': {
      if (again) return;
      const job = await jobs.get(id);
      throw new ProblemError(
        'job_not_retryable',
        `The job is ${job?.status}; only a failed, canceled or expired job can be retried.`,
      );
    }
  }
}
