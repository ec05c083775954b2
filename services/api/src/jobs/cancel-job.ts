import { logEndedJob } from '@renderyard/shared/job/job-record';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Logger } from '@renderyard/shared/logger';
import { ProblemError } from '../errors/problem-error.ts';
import type { Feeder } from './feeder.ts';

/**
 * Cancels a job: at once, or at the end of its call in flight. Its ticket, if one stands in the queue, is taken out,
 * so that another job gets its place; a ticket that stays is void.
 * @param again the request was begun before and broke off: a job that is canceled by now was canceled by it.
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
  { id, again }: { readonly id: string; readonly again: boolean },
): Promise<void> {
  const { status, ticket } = await jobs.cancel(id);
  if (status === 'missing') throw new ProblemError('not_found');
  if (status === 'ended') {
    const job = await jobs.get(id);
    if (again && job?.status === 'canceled') return;
    throw new ProblemError('job_ended', `The job has ended (${job?.status}); there is nothing to cancel.`);
  }
  if (ticket !== undefined && ticket.generation > 0) await queue.remove(ticket);
  if (status !== 'canceled') return;
  const canceled = await jobs.get(id);
  if (canceled?.status === 'canceled') logEndedJob(canceled, logger);
  await feedQueue();
}
