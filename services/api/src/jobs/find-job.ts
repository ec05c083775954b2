import { isId } from '@renderyard/shared/ids';
import type { Job } from '@renderyard/shared/job/job';
import type { JobStore } from '@renderyard/shared/job/job-store';
import { ProblemError } from '../errors/problem-error.ts';

/** @throws {ProblemError} `not_found`, also for a job of another account: whether it exists is not told. */
export async function findJob(jobs: JobStore, id: string, account: string): Promise<Job> {
  const job = isId('job', id) ? await jobs.get(id) : undefined;
  if (job === undefined || job.account !== account)
    throw new ProblemError('not_found', 'There is no such job. Jobs are forgotten some days after their end.');
  return job;
}
