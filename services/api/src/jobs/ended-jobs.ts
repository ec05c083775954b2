import { describeError } from '@renderyard/shared/describe-error';
import type { Logger } from '@renderyard/shared/logger';
import type { Redis } from '@renderyard/shared/redis/connect';

/** Watches one job. Must be closed. */
export interface Watch {
  /** Resolves when the job may have ended: it was said to, or word of it may have been missed. */
  changed(): Promise<void>;
  close(): void;
}

export interface EndedJobs {
  /** Word that comes after this call is not missed. */
  watch(job: string): Watch;
  /** Nothing more will be heard; those who wait are woken. */
  readonly closed: boolean;
  close(): void;
}

/**
 * Hears which jobs ended, over one connection for the whole process. A connection that breaks is made again, and
 * everybody who waits is woken then, because word may have been missed.
 */
export function createEndedJobs({
  redis,
  prefix,
  logger,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly logger: Logger;
}): EndedJobs {
  const channel = `${prefix}ended`;
  const watches = new Map<string, Set<() => void>>();
  let closed = false;
  const wakeAll = () => {
    for (const wakes of watches.values()) for (const wake of wakes) wake();
  };

  const connection = redis.duplicate({ autoResubscribe: false, lazyConnect: true, maxRetriesPerRequest: null });
  // The main connection logs that Redis is away; without a listener the error would end the process.
  connection.on('error', () => undefined);
  connection.on('message', (_channel: string, job: string) => {
    for (const wake of watches.get(job) ?? []) wake();
  });
  connection.on('ready', () => {
    connection.subscribe(channel).then(wakeAll, (error: unknown) => {
      if (closed) return;
      logger.warn({ err: describeError(error) }, 'the ends of jobs cannot be heard; connecting again');
      connection.disconnect(true);
    });
  });
  connection.connect().catch(() => undefined);

  return {
    watch: (job) => {
      let word = Promise.withResolvers<void>();
      const wake = () => word.resolve();
      const wakes = watches.get(job) ?? new Set();
      watches.set(job, wakes.add(wake));
      return {
        changed: async () => {
          await word.promise;
          word = Promise.withResolvers();
        },
        close: () => {
          wakes.delete(wake);
          if (wakes.size === 0 && watches.get(job) === wakes) watches.delete(job);
        },
      };
    },
    get closed() {
      return closed;
    },
    close: () => {
      closed = true;
      wakeAll();
      connection.disconnect();
    },
  };
}
