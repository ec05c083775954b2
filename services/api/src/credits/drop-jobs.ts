import { newId } from '@renderyard/shared/ids';
import { logEndedJob } from '@renderyard/shared/job/job-record';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Logger } from '@renderyard/shared/logger';

export interface DropJobsDeps {
  readonly jobs: JobStore;
  readonly queue: TicketQueue;
  readonly logger: Logger;
}

/** Jobs canceled at once; more would delay other requests' commands on the same connection. */
const CHUNK = 100;

/**
 * Cancels every queued job of an account that exists by now; jobs submitted meanwhile stay. Doing it again after it
 * broke off cancels the rest.
 * @returns how many were canceled.
 */
export async function dropJobs({ jobs, queue, logger }: DropJobsDeps, account: string): Promise<number> {
  let canceled = 0;
  let after: string | undefined = newId('job');
  while (after !== undefined) {
    const page = await jobs.list(account, { status: 'queued', after, limit: CHUNK });
    await Promise.all(
      page.map(async (job) => {
        const { ticket, ended } = await jobs.cancel(job.id);
        if (ended !== undefined) {
          canceled++;
          logEndedJob({ ...job, status: 'canceled', ...ended }, logger);
        }
        if (ticket !== undefined && ticket.generation > 0) await queue.remove(ticket);
      }),
    );
    after = page.at(-1)?.id;
  }
  return canceled;
}
