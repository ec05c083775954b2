import type { Clock } from '@renderyard/shared/clock';
import { describeError } from '@renderyard/shared/describe-error';
import { createFeed } from '@renderyard/shared/job/feed';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Logger } from '@renderyard/shared/logger';

/** Who submitted a job is answered after this long in any case: it is accepted, whether it has its ticket or not. */
const PATIENCE_MS = 500;

/**
 * Lets waiting jobs have tickets, and waits for it half a second at most. It never fails: what is not queued now is
 * found by the worker's repair.
 */
export type Feeder = () => Promise<void>;

export function createFeeder({
  jobs,
  queue,
  window,
  clock,
  logger,
}: {
  readonly jobs: JobStore;
  readonly queue: TicketQueue;
  readonly window: number;
  readonly clock: Clock;
  readonly logger: Logger;
}): Feeder {
  const feed = createFeed({ jobs, queue, window });
  return async () => {
    const fed = new AbortController();
    const feeding = feed()
      .catch((error: unknown) =>
        logger.warn({ err: describeError(error) }, 'waiting jobs could not be queued; a worker will find them'),
      )
      .finally(() => fed.abort());
    await Promise.race([feeding, clock.sleep(PATIENCE_MS, fed.signal)]);
  };
}
