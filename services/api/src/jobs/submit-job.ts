import { imageKey, type Job } from '@renderyard/shared/job/job';
import type { JobStore, NewJob } from '@renderyard/shared/job/job-store';
import type { Origin } from '@renderyard/shared/origin';
import { ProblemError } from '../errors/problem-error.ts';
import type { Feeder } from './feeder.ts';
import type { JobRequest } from './job-request.ts';

/** Seconds after which a full backlog may have room again. */
const BACKLOG_RETRY_AFTER = 10;

/** A checked request for a job. */
export interface Submission {
  /** Drawn before, so that submitting again makes no second job. */
  readonly id: string;
  readonly account: string;
  readonly request: JobRequest;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The request itself, for the log. */
  readonly origin?: Origin | undefined;
}

/**
 * Accepts a job under an id drawn before, so that doing it again makes no second one, and has it queued.
 * @returns the job as it was accepted; it may have gone on since.
 * @throws {ProblemError} `backlog_full`.
 */
export async function submitJob(
  {
    jobs,
    feedQueue,
    mostWaiting,
  }: { readonly jobs: JobStore; readonly feedQueue: Feeder; readonly mostWaiting: number },
  { id, account, request, now, origin }: Submission,
): Promise<Job> {
  const job: NewJob = {
    id,
    account,
    model: request.model.slug,
    input: request.input,
    metadata: request.metadata,
    webhook: request.webhook,
    webhookEvents: request.webhookEvents,
    createdAt: now,
    expiresAt: request.expiresInMs === undefined ? undefined : now + request.expiresInMs,
    origin,
  };
  if ((await jobs.create(job, mostWaiting)) === 'full')
    throw new ProblemError('backlog_full', undefined, { retryAfter: BACKLOG_RETRY_AFTER });
  await feedQueue();
  return accepted(job);
}

function accepted(job: NewJob): Job {
  return {
    ...job,
    webhook: job.webhook,
    webhookEvents: job.webhookEvents,
    batch: undefined,
    row: undefined,
    run: 0,
    imageKey: imageKey(job.id),
    status: 'queued',
    output: [],
    error: undefined,
    attempts: 0,
    tries: 0,
    uncertain: 0,
    uncertainTries: 0,
    cost: 0,
    cancelRequested: false,
    call: '',
    ticket: 0,
    startedAt: undefined,
    endedAt: undefined,
  };
}
