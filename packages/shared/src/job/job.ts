import type { Nanocredits } from '../credits/amount.ts';
import type { Origin } from '../origin.ts';
import type { EventType } from '../webhook/event-type.ts';

/** The states of a job; the last four are final. */
export const JOB_STATUSES = ['queued', 'processing', 'succeeded', 'failed', 'canceled', 'expired'] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];
export type FinalStatus = Exclude<JobStatus, 'queued' | 'processing'>;

export function isFinal(status: JobStatus): status is FinalStatus {
  return status !== 'queued' && status !== 'processing';
}

/** Why a job failed: a closed list, documented in docs/errors.md, compared with it by a test. */
export const JOB_ERROR_CODES = [
  'invalid_parameter',
  'upstream_rejected',
  'upstream_failed',
  'upstream_timeout',
  'bad_image',
  'outcome_uncertain',
  'store_failed',
  'expired',
] as const;
export type JobErrorCode = (typeof JOB_ERROR_CODES)[number];

/** What a client reads about a failure. `detail` is public text: no secrets, no HTML of the upstream. */
export interface JobError {
  readonly code: JobErrorCode;
  readonly detail: string;
}

/** A stored image, as it lies in the store. */
export interface Image {
  readonly key: string;
  readonly content_type: string;
  readonly bytes: number;
  readonly width: number;
  readonly height: number;
  /** Of the stored bytes, in hex. */
  readonly sha256: string;
  /** The seed that was used: the upstream's word if it gave one, else what was sent. */
  readonly seed: number;
}

/** One render, as Redis keeps it. Times are milliseconds since 1970, UTC. */
export interface Job {
  readonly id: string;
  readonly account: string;
  /** The batch and the row that it renders; undefined for a job on its own. */
  readonly batch: string | undefined;
  readonly row: number | undefined;
  /** In which run of its batch: 0, and one more with each retry of its failed rows. */
  readonly run: number;
  readonly status: JobStatus;
  readonly model: string;
  /** The body of the call, exactly as it is sent. Of a row it lies in the store, and is empty here until read from there. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Who is told of it besides the account's endpoints, and of which events; of a row its batch says so. */
  readonly webhook: string | undefined;
  readonly webhookEvents: readonly EventType[] | undefined;
  readonly output: readonly Image[];
  readonly error: JobError | undefined;
  /** Calls made, over all retries; a deferral (credits, 429, a hold, a shutdown) counts none. */
  readonly attempts: number;
  /** Calls made since the job was last submitted or retried by hand: what `RENDER_ATTEMPTS` bounds. */
  readonly tries: number;
  /** Calls whose outcome is unknown, over all retries. */
  readonly uncertain: number;
  /** Of those, the ones that `UNCERTAIN_RETRIES` bounds. */
  readonly uncertainTries: number;
  /** Credits settled for this job, uncertain calls included at their estimate. */
  readonly cost: Nanocredits;
  readonly cancelRequested: boolean;
  /** The call in flight, or the one that was lost with its worker; empty when there is none. */
  readonly call: string;
  /** Generation of the job's ticket; a ticket of another generation is void. */
  readonly ticket: number;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  readonly expiresAt: number | undefined;
  /** Where its image lies in the store, less the extension; of a row known once it was read from the store. */
  readonly imageKey: string;
  /** The request that submitted it, or its batch, for the log alone; of a row known once it was read from the store. */
  readonly origin?: Origin | undefined;
}

/** Where the image of a job outside a batch lies, less its extension. */
export function imageKey(jobId: string): string {
  return `jobs/${jobId}`;
}
