import type { Job } from '@renderyard/shared/job/job';
import { logEndedJob } from '@renderyard/shared/job/job-record';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Logger } from '@renderyard/shared/logger';
import { ProblemError } from '../errors/problem-error.ts';
import type { Feeder } from './feeder.ts';

/**
 * Cancels a job: at once, or at the end of its call in flight. Its ticket, if one stands in the queue, is taken out,
 * so that another job gets its place; a ticket that stays is void.
 * @param job as it was found. @param again the request was begun before and broke off: a job that is canceled by now was canceled by it.
 * @throws {ProblemError} `job_ended`, `not_found`.
 */
export async function cancelJob(
  {
    jobs,
    queue,
    feedQueue,
    logger,
  }: {
    readonly jobs: JobStore;
    readonly queue: TicketQueue;
    readonly feedQueue: Feeder;
    readonly logger: Logger;
  },
  job: Job,
  { again }: { readonly again: boolean },
): Promise<void> {
  const { status, ticket, ended } = await jobs.cancel(job.id);
  if (status === 'missing') throw new ProblemError('not_found');
  if (status === 'ended') {
    const now = await jobs.get(job.id);
    if (again && now?.status === 'canceled') return;
    throw new ProblemError('job_ended', `The job has ended (${now?.status}); there is nothing to cancel.`);
  }
  if (ticket !== undefined && ticket.generation > 0) await queue.remove(ticket);
  if (ended === undefined) return;
  logEndedJob({ ...job, status: 'canceled', ...ended }, logger);
  await feedQueue();
}
