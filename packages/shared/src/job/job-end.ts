import type { Nanocredits } from '../credits/amount.ts';
import type { HoldName } from '../credits/hold.ts';
import type { FinalStatus, Image, JobError } from './job.ts';

/** How the credits of a call are settled. A cost that the upstream did not tell is taken to be the estimate. */
export type Settlement =
  | { readonly kind: 'spent'; readonly cost: Nanocredits | undefined }
  | { readonly kind: 'released' }
  | { readonly kind: 'uncertain'; readonly how: string };

/** A balance that came with an answer; `seq` and `startedAt` are those of the call's grant. */
export interface Reading {
  readonly value: Nanocredits;
  readonly seq: number;
  readonly startedAt: number;
}

/** What the end of a row needs besides: where its result goes, and what earlier runs of its batch have cost. */
export interface RowEnd {
  /** The part of the batch's rows that holds it. */
  readonly part: number;
  readonly previous?: {
    readonly attempts: number;
    readonly uncertain: number;
    readonly cost: Nanocredits;
    readonly startedAt: number | null;
  };
}

/** A call that a Redis granted which has been emptied since; it is taken in as if this one had granted it. */
export interface AdoptedCall {
  readonly worker: string;
  readonly account: string;
  readonly model: string;
  readonly costClass: string;
  readonly estimate: Nanocredits;
  readonly startedAt: number;
  /** Milliseconds since 1970: from then on it is billed no more. */
  readonly resolveAfter: number;
  /** Calls of the job so far, this one included. */
  readonly attempts: number;
}

/** What a job has come to when it ends, over all its runs. Times are milliseconds since 1970. */
export interface JobTotals {
  readonly attempts: number;
  readonly uncertain: number;
  readonly cost: Nanocredits;
  /** Of a row when its batch was accepted. */
  readonly createdAt: number;
  /** When its first call was admitted; undefined when none was made. */
  readonly startedAt: number | undefined;
  readonly endedAt: number;
}

/** The end of a call, and of the job or of this run of it. */
export interface JobEnd {
  readonly job: string;
  /** Of a row of a batch. */
  readonly row?: RowEnd | undefined;
  readonly adopt?: AdoptedCall | undefined;
  /** The call that ended; undefined when none was made. */
  readonly call?: { readonly id: string; readonly settlement: Settlement; readonly reading?: Reading | undefined };
  /** `parked`: its model is held, or its key; the job waits without keeping a place in the queue. */
  readonly status: FinalStatus | 'queued' | 'parked';
  /** The hold that it is parked for; that of its model if left out. */
  readonly parkedFor?: HoldName;
  /** False for a deferral: the call uses no attempt. */
  readonly counted?: boolean;
  /** Counts an unknown outcome: against the job only, or also against `UNCERTAIN_RETRIES`. */
  readonly uncertain?: 'shown' | 'limited';
  /** Whether this counts towards the three in a row that hold the queue: no answer came, or none to be believed. A gateway's word weighs less. */
  readonly incident?: boolean | 'light';
  readonly output?: readonly Image[];
  readonly error?: JobError;
  /** When the next attempt is due, for people. */
  readonly retryAt?: number;
  /** The upstream refused, and it is not plain whether that is this job's matter or everybody's; see record.lua. */
  readonly refusal?: { readonly hold: HoldName; readonly detail: string };
}
