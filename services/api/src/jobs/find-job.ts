import { parseRowJobId } from '@renderyard/shared/batch/row';
import { isId } from '@renderyard/shared/ids';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { ShownJob } from '@renderyard/shared/job/job-view';
import { ProblemError } from '../errors/problem-error.ts';

/** Finds the job of a row of a batch; undefined where there is none. */
export type FindRowJob = (place: { readonly batch: string; readonly row: number }) => Promise<ShownJob | undefined>;

export interface JobFinder {
  readonly jobs: JobStore;
  readonly findRowJob: FindRowJob;
}

/** @throws {ProblemError} `not_found`, also for a job of another account: whether it exists is not told. */
export async function findJob({ jobs, findRowJob }: JobFinder, id: string, account: string): Promise<ShownJob> {
  const place = parseRowJobId(id);
  const single = isId('job', id) ? await jobs.get(id) : undefined;
  const job = place === undefined ? single : await findRowJob(place);
  if (job === undefined || job.account !== account)
    throw new ProblemError('not_found', 'There is no such job. Jobs are forgotten some days after their end.');
  return job;
}
