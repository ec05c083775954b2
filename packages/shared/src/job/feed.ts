import type { JobStore } from './job-store.ts';
import type { TicketQueue } from './ticket-queue.ts';

/**
 * Moves waiting jobs into the queue until `window` tickets stand there. Called after a job was accepted and after one
 * ended; when a caller dies between the two steps, {@link repairFeed} finds the job.
 * @returns how many tickets were added.
 */
export async function feed({
  jobs,
  queue,
  window,
}: {
  readonly jobs: JobStore;
  readonly queue: TicketQueue;
  readonly window: number;
}): Promise<number> {
  const tickets = await jobs.takeTickets(window);
  await queue.add(tickets);
  return tickets.length;
}

/**
 * The same, as often as it is asked for and never twice at a time: what is asked for while it runs is done in one go
 * afterwards. With each ended job asking, a busy worker so feeds several tickets by one script.
 */
export function createFeed(deps: Parameters<typeof feed>[0]): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const run = () => {
    const done = feed(deps)
      .then(() => undefined)
      .finally(() => {
        running = undefined;
      });
    running = done;
    return done;
  };
  return () => {
    if (running === undefined) return run();
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return run();
      });
    return next;
  };
}

/** Gives a new ticket to every job that was fed before `fedBefore` (milliseconds since 1970) and stands in no queue. */
export async function repairFeed({
  jobs,
  queue,
  fedBefore,
}: {
  readonly jobs: JobStore;
  readonly queue: TicketQueue;
  readonly fedBefore: number;
}): Promise<number> {
  let repaired = 0;
  for (const fed of await jobs.fedBefore(fedBefore)) {
    if (await queue.has(fed)) continue;
    const ticket = await jobs.retakeTicket(fed.job, fed.fedAt);
    if (ticket === undefined) continue;
    await queue.add([ticket]);
    repaired++;
  }
  return repaired;
}
