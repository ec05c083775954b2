import { systemClock } from '@renderyard/shared/clock';
import type { Ticket } from '@renderyard/shared/job/job-store';
import { RENDER_QUEUE, type TicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { Logger } from '@renderyard/shared/logger';
import type { Redis } from '@renderyard/shared/redis/connect';
import { type Job as BullJob, DelayedError, Worker } from 'bullmq';
import type { Ending } from './render/ending.ts';

/** BullMQ counts tickets whose worker died and fails them for good at its limit; ours may come back for ever. */
const NEVER_FAILS = 1_000_000_000;
/** Tickets come at this share of the mean distance between calls. */
const TICKET_SHARE = 0.9;
/**
 * At rates of more than one ticket in so many milliseconds, several may come at once: each that comes too early costs
 * another question to the queue, and the ledger keeps the pace in any case.
 */
const LEAST_BETWEEN_MS = 5;
/** The queue repeats its errors many times a second while Redis is away; one in this time is told. */
const SAME_ERROR_MS = 10_000;
/** After an error of our own a ticket is looked at again so much later, in milliseconds. */
const AFTER_ERROR_MS = 5000;
/** How often it is looked whether tickets are taken, in milliseconds, and after how many looks in vain a reader is replaced. */
const LOOK_MS = 5000;
const LOOKS = 3;
/** After this long a reader of the queue that could not begin is replaced by another, in milliseconds. */
const BEGIN_AGAIN_MS = 1000;

export interface TicketWorker {
  /** Starts taking tickets. */
  run(): void;
  /** Takes no more tickets; those taken go on. */
  quiet(): Promise<void>;
  /** Lets go of BullMQ without waiting for tickets. */
  close(): Promise<void>;
  /** Resolves when no ticket is being worked on. */
  idle(): Promise<void>;
  readonly active: number;
  /** Whether the queue is being read, so that a ticket that comes is taken. */
  readonly taking: boolean;
}

/** Takes tickets from BullMQ and translates endings into its terms: the only file that knows them. */
export function createTicketWorker(options: {
  readonly redis: Redis;
  readonly prefix: string;
  /** The same queue, to see what waits in it. */
  readonly queue: Pick<TicketQueue, 'next'>;
  readonly concurrency: number;
  /** Milliseconds between looks at whether tickets are taken; 5,000 if left out. */
  readonly lookMs?: number;
  /** Calls a minute over all workers. */
  readonly perMinute: number;
  readonly lockMs: number;
  readonly render: (ticket: Ticket) => Promise<Ending>;
  /** Told of every ending, after which there may be room for another ticket. */
  readonly onEnding: (ending: Ending) => void;
  readonly logger: Logger;
}): TicketWorker {
  const { render, onEnding, logger } = options;
  const active = new Set<Promise<void>>();
  let taken = 0;

  async function process(ticket: BullJob<Ticket>, token: string | undefined): Promise<void> {
    let ending: Ending;
    try {
      ending = await render(ticket.data);
    } catch (error) {
      logger.error({ err: error, job: ticket.data.job }, 'a ticket could not be worked on and is looked at again');
      ending = { kind: 'deferred', reason: 'error', afterMs: AFTER_ERROR_MS };
    }
    onEnding(ending);
    if (ending.kind === 'retry' || ending.kind === 'deferred' || ending.kind === 'uncertain') {
      await ticket.moveToDelayed(Date.now() + Math.max(ending.afterMs, 1), token);
      throw new DelayedError();
    }
  }

  let toldAt = 0;
  function makeReader(): Worker<Ticket> {
    const reader = new Worker<Ticket>(
      RENDER_QUEUE,
      (ticket, token) => {
        taken++;
        const run = process(ticket, token);
        const settled = run.then(
          () => undefined,
          () => undefined,
        );
        active.add(settled);
        void settled.then(() => active.delete(settled));
        return run;
      },
      {
        connection: options.redis,
        prefix: options.prefix,
        concurrency: options.concurrency,
        autorun: false,
        limiter: ticketPace(options.perMinute),
        lockDuration: options.lockMs,
        stalledInterval: Math.max(1000, Math.floor(options.lockMs / 4)),
        maxStalledCount: NEVER_FAILS,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      },
    );
    reader.on('error', (error) => {
      if (Date.now() - toldAt < SAME_ERROR_MS) return;
      toldAt = Date.now();
      logger.warn({ err: error }, 'the queue reports an error');
    });
    reader.on('stalled', (ticket) => logger.warn({ ticket }, 'the worker of a ticket was lost; the ticket runs again'));
    return reader;
  }

  const stopped = new AbortController();
  let reader: Worker<Ticket> | undefined;
  let taking = false;

  /** BullMQ's worker connects once more for itself. When that fails it takes no ticket ever, and says nothing of it. */
  async function begin(): Promise<void> {
    while (!stopped.signal.aborted) {
      const tried = makeReader();
      reader = tried;
      const failed = await tried.waitUntilReady().then(
        () => undefined,
        (error: unknown) => ({ error }),
      );
      if (reader !== tried) return;
      if (failed === undefined) {
        taking = true;
        return tried.run();
      }
      if (!stopped.signal.aborted)
        logger.warn({ err: failed.error }, 'the queue cannot be read yet and is tried again');
      await tried.close(true);
      await systemClock.sleep(BEGIN_AGAIN_MS, stopped.signal);
    }
  }

  /**
   * A reader can wait for ever on a connection that ioredis has lost sight of, as was seen after every node of a cluster
   * had died: it takes nothing, and says nothing. Another takes its place when the same ticket stays the next one.
   */
  async function watch(): Promise<void> {
    let seen = { taken, next: undefined as string | undefined, looks: 0 };
    while (!stopped.signal.aborted) {
      await systemClock.sleep(options.lookMs ?? LOOK_MS, stopped.signal);
      const next = active.size < options.concurrency ? await options.queue.next().catch(() => undefined) : undefined;
      const stands = next !== undefined && next === seen.next && taken === seen.taken;
      seen = { taken, next, looks: stands ? seen.looks + 1 : 0 };
      if (seen.looks < LOOKS || stopped.signal.aborted) continue;
      logger.warn({ ticket: next }, 'a ticket waits and is not taken; another reader of the queue takes over');
      seen.looks = 0;
      // Not waited for: what hangs may hang here, too. What it works on goes on.
      reader?.close(true).catch(() => undefined);
      startReading();
    }
  }

  function startReading(): void {
    begin().catch((error: unknown) => logger.error({ err: error }, 'the queue cannot be read'));
  }

  return {
    run() {
      startReading();
      void watch();
    },
    async quiet() {
      stopped.abort();
      taking = false;
      await reader?.pause(true);
    },
    async close() {
      stopped.abort();
      await reader?.close(true);
    },
    async idle() {
      while (active.size > 0) await Promise.all(active);
    },
    get active() {
      return active.size;
    },
    get taking() {
      return taking;
    },
  };
}

/**
 * Tickets come a little sooner than their calls are due: the pace is decided by the ledger, and two pacers of the same
 * rate in a row would add up their delays.
 */
function ticketPace(perMinute: number): { readonly max: number; readonly duration: number } {
  const mean = (60_000 / perMinute) * TICKET_SHARE;
  const max = Math.max(1, Math.ceil(LEAST_BETWEEN_MS / mean));
  return { max, duration: Math.max(1, Math.floor(max * mean)) };
}
