import type { JobStore } from '@renderyard/shared/job/job-store';
import type { ShownJob } from '@renderyard/shared/job/job-view';
import type { Store } from '@renderyard/shared/store/store';
import { ProblemError } from '../errors/problem-error.ts';

/**
 * Deletes a single job that has ended.
 * @param images whether its image goes, too; before the job, so that a deletion that broke off can be repeated.
 * @throws {ProblemError} `job_not_ended`, `row_of_batch`, `not_found`.
 */
export async function deleteJob(
  { jobs, store }: { readonly jobs: JobStore; readonly store: Store },
  job: ShownJob,
  { images }: { readonly images: boolean },
): Promise<void> {
  if (job.batch !== undefined)
    throw new ProblemError('row_of_batch', `The job is row ${job.row} of ${job.batch}, and is deleted with it.`);
  if (job.status === 'queued' || job.status === 'processing') throw notEnded(job.status);
  if (images && job.output.length > 0) await store.delete(job.output.map(({ key }) => key));
  const status = await jobs.forget(job.id);
  // It was retried in this moment.
  if (status === 'open') throw notEnded('queued again');
  if (status === 'missing') throw new ProblemError('not_found');
}

function notEnded(status: string): ProblemError {
  return new ProblemError(
    'job_not_ended',
    `The job is ${status}; only one that has ended can be deleted. Cancel it first.`,
  );
}
