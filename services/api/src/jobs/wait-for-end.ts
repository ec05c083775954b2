import type { Clock } from '@renderyard/shared/clock';
import { isFinal, type Job } from '@renderyard/shared/job/job';
import type { LiveStream } from '../live/live-stream.ts';
import type { Watch } from '../live/watch-job.ts';

/**
 * Waits until a job has ended, the time is over, the client is gone or the server stops, and reads the job then.
 * @returns the job as it is at the end of the wait; undefined when it could not be read.
 */
export async function waitForEnd({
  live,
  watch,
  read,
  waitMs,
  gone,
  clock,
}: {
  readonly live: Pick<LiveStream, 'closed'>;
  readonly watch: Watch;
  readonly read: () => Promise<Job | undefined>;
  readonly waitMs: number;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
  readonly clock: Clock;
}): Promise<Job | undefined> {
  const deadline = clock.now() + waitMs;
  for (;;) {
    const left = deadline - clock.now();
    const over = left <= 0 || gone.aborted || live.closed;
    // Redis away in mid-wait is not the end of it: the next word, or the deadline, reads again.
    const job = await read().catch(() => undefined);
    if (over || (job !== undefined && isFinal(job.status))) return job;
    const timer = new AbortController();
    await Promise.race([watch.changed(), clock.sleep(left, AbortSignal.any([timer.signal, gone]))]);
    timer.abort();
  }
}
