import type { StopPhase } from '@renderyard/shared/lifecycle';
import type { Watchers } from '@renderyard/shared/operations/watchers';
import type { Redis } from '@renderyard/shared/redis/connect';
import type { CallsInFlight } from './render/calls-in-flight.ts';
import type { createWebhooking } from './webhook/webhooking.ts';
import type { TicketWorker } from './worker.ts';

/** Until the queue has taken notice. */
const QUIET_MS = 2000;
/** After calls were broken off, time to write down that their outcome is unknown. */
const RECORD_MS = 5000;
/** What is still open then is left to the process's end. */
const CLOSE_MS = 3000;

interface StopDependencies {
  /** `SHUTDOWN_GRACE_MS`. */
  readonly graceMs: number;
  /** Aborted when the worker is to stop, and when it can wait no longer. */
  readonly stopping: AbortController;
  readonly abort: AbortController;
  readonly tickets: TicketWorker;
  readonly webhooking: ReturnType<typeof createWebhooking>;
  readonly calls: CallsInFlight;
  readonly redis: Redis;
  readonly watchers: Pick<Watchers, 'phase'>;
  /** What goes on beside the work, about once a second. */
  readonly loops: readonly { stop(): Promise<void> }[];
  /** Says that this process is gone: whoever upgrades the data waits for that. */
  readonly roster: { stop(): Promise<void> };
  /** What is closed before Redis. */
  readonly close: () => Promise<void>;
}

/** How a worker stops: within its grace and 10.5 s, whatever of what it needs is away. */
export function stopPhases(deps: StopDependencies): readonly StopPhase[] {
  const { stopping, abort, tickets, webhooking, redis } = deps;
  return [
    {
      name: 'take no more tickets',
      deadlineMs: QUIET_MS,
      stop: () => {
        stopping.abort();
        return tickets.quiet();
      },
    },
    {
      name: 'let calls in flight end, and what is told of them',
      deadlineMs: deps.graceMs,
      stop: async () => {
        await tickets.idle();
        await webhooking.quiet();
      },
    },
    {
      name: 'break off calls in flight',
      deadlineMs: RECORD_MS,
      stop: () => {
        abort.abort();
        return tickets.idle();
      },
    },
    {
      name: 'close',
      deadlineMs: CLOSE_MS,
      stop: async () => {
        deps.calls.stop();
        // What waits for a Redis that is away is not going to have it in the time that is left.
        if (redis.status !== 'ready') redis.disconnect();
        await webhooking.close();
        await Promise.all([...deps.loops.map((loop) => loop.stop()), webhooking.quiet()]);
        await tickets.close();
        // After the last thing that is written to the store. Who comes no further than here is forgotten when it is silent.
        await deps.roster.stop();
        await deps.close();
        if (redis.status === 'ready') await redis.quit();
      },
    },
    deps.watchers.phase,
  ];
}
