import { Queue } from 'bullmq';
import { parseRowJobId } from '../batch/row.ts';
import type { Redis } from '../redis/connect.ts';
import type { Ticket } from './job-store.ts';

/** The queue's name in BullMQ. */
export const RENDER_QUEUE = 'render';

/**
 * A ticket's id in BullMQ. It holds the ticket's generation, because a ticket that is just finishing swallows a new
 * one of the same id; BullMQ refuses ids with a `:`.
 */
export function ticketId(ticket: Ticket): string {
  return `${ticket.job}.${ticket.generation}`;
}

/** BullMQ takes tickets without a priority before all others: single jobs go before rows. */
function rank(ticket: Ticket): { readonly priority?: number } {
  return parseRowJobId(ticket.job) === undefined ? {} : { priority: 1 };
}

export type TicketQueue = ReturnType<typeof createTicketQueue>;

/** What stands in BullMQ: references to jobs, some dozens at most. Finished ones are removed at once. */
export function createTicketQueue({ redis, prefix }: { readonly redis: Redis; readonly prefix: string }) {
  const queue = new Queue<Ticket>(RENDER_QUEUE, {
    connection: redis,
    prefix,
    // BullMQ asks and waits for Redis once, and when that fails, as it does where commands have a timeout, it fails
    // every later call, too. Our own check at the start asks for more; so a call fails or works by itself.
    skipVersionCheck: true,
    skipWaitingForReady: true,
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    // Some thousand entries are kept by default; nobody reads them.
    streams: { events: { maxLen: 100 } },
  });
  // Connection errors are logged where the connection is made; without a listener they would end the process.
  queue.on('error', () => undefined);
  return {
    async add(tickets: readonly Ticket[]): Promise<void> {
      if (tickets.length > 0)
        await queue.addBulk(
          tickets.map((ticket) => ({
            name: 'render',
            data: ticket,
            opts: { jobId: ticketId(ticket), ...rank(ticket) },
          })),
        );
    },
    /** Whether the ticket stands in the queue, in whatever state. */
    async has(ticket: Ticket): Promise<boolean> {
      return (await queue.getJob(ticketId(ticket))) !== undefined;
    },
    /** Takes a ticket out, unless a worker has it. */
    async remove(ticket: Ticket): Promise<void> {
      await queue.remove(ticketId(ticket)).catch(() => undefined);
    },
    /** The id of the ticket that a worker with room would take now; undefined where there is none, or none may be taken. */
    async next(): Promise<string | undefined> {
      const [paused, limitedMs, waiting] = await Promise.all([
        queue.isPaused(),
        queue.getRateLimitTtl(),
        queue.getJobs(['waiting', 'prioritized'], 0, 0, true),
      ]);
      return paused || limitedMs > 0 ? undefined : waiting[0]?.id;
    },
    pause: () => queue.pause(),
    resume: () => queue.resume(),
    isPaused: () => queue.isPaused(),
    /** No worker takes a ticket for `ms`. Needs workers with a limiter; it silently does nothing without one. */
    rateLimit: (ms: number) => queue.rateLimit(ms),
    close: () => queue.close(),
  };
}
