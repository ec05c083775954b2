import type { Clock } from '@renderyard/shared/clock';
import type { Job } from '@renderyard/shared/job/job';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { LiveStream } from '../live/live-stream.ts';
import { watchJob } from '../live/watch-job.ts';
import type { Feeder } from './feeder.ts';
import { type Submission, submitJob } from './submit-job.ts';
import { waitForEnd } from './wait-for-end.ts';

export interface SubmitDeps {
  readonly jobs: JobStore;
  readonly feedQueue: Feeder;
  readonly live: LiveStream;
  readonly mostWaiting: number;
  readonly clock: Clock;
}

/**
 * Accepts a job and waits for its end, if that is asked for.
 * @param waitSeconds undefined not to wait.
 * @param gone aborts when nobody waits any more.
 * @returns the job as it is then; once it was accepted, nothing that fails makes this fail.
 * @throws {ProblemError} `backlog_full`.
 */
export async function submitAndWait(
  deps: SubmitDeps,
  submission: Submission,
  { waitSeconds, gone }: { readonly waitSeconds: number | undefined; readonly gone: AbortSignal },
): Promise<Job> {
  const { jobs, live, clock } = deps;
  const read = () => jobs.get(submission.id);
  if (waitSeconds === undefined) {
    const accepted = await submitJob(deps, submission);
    return (await read().catch(() => undefined)) ?? accepted;
  }
  // Before the job exists, so that its end cannot be missed.
  const watch = watchJob(live, submission.id);
  try {
    const accepted = await submitJob(deps, submission);
    return (await waitForEnd({ live, watch, read, waitMs: waitSeconds * 1000, gone, clock })) ?? accepted;
  } finally {
    watch.close();
  }
}
