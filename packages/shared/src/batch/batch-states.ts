import type { Nanocredits } from '../credits/amount.ts';
import type { BatchDecision, BatchHold, BatchRecord, BatchStatus } from './batch.ts';
import type { RowResult } from './row-result.ts';

/** A batch as it runs. Times are milliseconds since 1970. */
export interface BatchState {
  readonly id: string;
  readonly account: string;
  readonly status: BatchStatus;
  readonly hold: BatchHold | undefined;
  readonly model: string;
  /** Accepted rows. */
  readonly total: number;
  readonly rejected: number;
  readonly processing: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Only once the batch is canceled: rows that were not rendered because of it. */
  readonly canceled: number;
  readonly cost: Nanocredits;
  /** Estimates of its calls in flight. */
  readonly reserved: Nanocredits;
  /** Calls whose outcome is unknown. */
  readonly uncertain: number;
  readonly name: string | null;
  readonly budget: Nanocredits | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly runs: number;
  /** `seq` of the decision that holds here. */
  readonly decision: number;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  /** When its latest rows ended, newest first, at most 50. */
  readonly latest: readonly number[];
}

/** How far a batch has come, as read from the store. Bits: row r is bit (r − 1) % 8 from the left of byte (r − 1) / 8. */
export interface BatchProgress {
  readonly succeeded: Uint8Array;
  readonly failed: Uint8Array;
  /** Rows up to `cursor` that have not ended, and are due again. */
  readonly again: Uint8Array;
  /** The highest row that was ever begun, as far as is known. */
  readonly cursor: number;
  readonly counts: { readonly succeeded: number; readonly failed: number };
  readonly cost: Nanocredits;
  readonly uncertain: number;
  /** The newest version of each results part. */
  readonly versions: ReadonlyMap<number, number>;
  readonly startedAt: number | undefined;
}

/** Results that wait to be written, of a batch that is this worker's to write for the time of its lease. */
export interface Flush {
  readonly batch: string;
  /** Of what is written under this lease: higher than every version before. */
  readonly version: number;
  readonly status: BatchStatus;
  /** Whether every row has ended: after these parts the manifest is due. */
  readonly ending: boolean;
  readonly parts: readonly { readonly part: number; readonly version: number | undefined }[];
}

/** Batches in Redis: a cursor, two bits a row, counters, and results that are not in the store yet. */
export interface BatchStates {
  /**
   * Makes a batch known, or what is known of it as `progress` says; it is fed from now on if it is to run. Harmless when
   * it is known already: then nothing changes. Returns whether it is new.
   */
  open(record: BatchRecord, decision: BatchDecision, progress?: BatchProgress): Promise<boolean>;
  get(id: string): Promise<BatchState | undefined>;
  /** Ids of an account's batches, the newest first; `after` is the id of the last one already seen. */
  list(
    account: string,
    options: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly string[]>;
  /** Has a batch listed that has ended and is not otherwise known. */
  addToList(account: string, id: string): Promise<void>;
  /**
   * Puts a decision into force, unless a later one is. A cancel is in force when this resolves: no call is admitted
   * after it. Returns the state; undefined when the batch is not known.
   */
  decide(id: string, decision: BatchDecision): Promise<BatchState | undefined>;
  /** Results of a part that are not in the store yet, or newer than there. */
  results(id: string, part: number): Promise<ReadonlyMap<number, RowResult>>;
  /** The version of a results part that holds; undefined where none was written. */
  resultVersions(id: string): Promise<ReadonlyMap<number, number>>;
  /** Rows that have a call in flight or wait for a ticket's turn, by number. */
  processing(id: string): Promise<readonly number[]>;
  /** Takes a batch whose results are due to be written, for `leaseMs`; undefined when there is none. */
  takeFlush(worker: string, leaseMs: number): Promise<Flush | undefined>;
  /** Says that these results of a part lie in the store under the version of the flush. */
  flushed(flush: Flush, part: number, written: readonly string[]): Promise<void>;
  /** The lines of a part as they stand, for {@link BatchStates.flushed}. */
  unwritten(id: string, part: number): Promise<readonly string[]>;
  /** Ends the lease. */
  endFlush(flush: Flush, worker: string): Promise<void>;
  /** The last step, once all results and the manifest are in the store. Returns the state; it is final. */
  complete(flush: Flush): Promise<BatchState | undefined>;
  /** Forgets a batch that has ended. */
  forget(id: string): Promise<void>;
}
