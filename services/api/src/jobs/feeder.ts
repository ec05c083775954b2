import { describeError } from '@renderyard/shared/describe-error';
import { createFeed } from '@renderyard/shared/job/feed';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Logger } from '@renderyard/shared/logger';

/** Lets waiting jobs have tickets. It never fails: what is not queued now is found by the worker's repair. */
export type Feeder = () => Promise<void>;

export function createFeeder({
  jobs,
  queue,
  window,
  logger,
}: {
  readonly jobs: JobStore;
  readonly queue: TicketQueue;
  readonly window: number;
  readonly logger: Logger;
}): Feeder {
  const feed = createFeed({ jobs, queue, window });
  return async () => {
    try {
      await feed();
    } catch (error) {
      logger.warn({ err: describeError(error) }, 'waiting jobs could not be queued; a worker will find them');
    }
  };
}
