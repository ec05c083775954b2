import type { AuditChange } from '../audit-change.ts';
import type { Nanocredits } from '../credits/amount.ts';
import type { EventType } from '../webhook/event-type.ts';

/** The states of a batch; the last two are final. `finishing`: every row has ended, its results are being written. */
export const BATCH_STATUSES = ['running', 'paused', 'canceling', 'finishing', 'completed', 'canceled'] as const;
export type BatchStatus = (typeof BATCH_STATUSES)[number];

export function isBatchFinal(status: BatchStatus): status is 'completed' | 'canceled' {
  return status === 'completed' || status === 'canceled';
}

/** Why a batch that is paused does not run: somebody said so, its budget is used up, or its first rows all failed alike. */
export const BATCH_HOLD_REASONS = ['batch_paused', 'batch_budget', 'batch_failing'] as const;
export type BatchHoldReason = (typeof BATCH_HOLD_REASONS)[number];

export interface BatchHold {
  readonly reason: BatchHoldReason;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Public text: what is the matter and what ends it. */
  readonly detail: string;
}

/** A rows part holds at most this many rows, and this many bytes. */
export const PART_ROWS = 1000;
export const PART_BYTES = 2 * 1024 * 1024;

/** One thing that is wrong with a row, or worth knowing of an upload. */
export interface RowProblem {
  /** Line of the upload, from 1; of a JSON array the number of the item, from 1. */
  readonly line: number;
  /** The column's name as the upload has it; null when the row as a whole is meant. */
  readonly column: string | null;
  readonly code: string;
  /** What stands there, cut to 200 characters; null when nothing does. */
  readonly value: string | null;
  /** What is wrong and what would be right. */
  readonly detail: string;
}

/** What an upload was found to hold; the same in a dry run. At most 100 errors and 100 warnings are listed. */
export interface BatchReport {
  readonly rejected: { readonly count: number; readonly errors: readonly RowProblem[] };
  readonly warnings: readonly RowProblem[];
}

/** How an upload was told to be read; names as the API has them. */
export interface BatchOptions {
  readonly on_invalid: 'skip' | 'reject';
  /** Parameters of the model for rows that leave them blank. */
  readonly defaults?: Readonly<Record<string, unknown>>;
  readonly prompt_template?: string;
  readonly key_template?: string;
  /** Parameter or `id` → the column that it is read from. */
  readonly columns?: Readonly<Record<string, string>>;
}

/** A rows part, as it lies in the store. */
export interface RowsPart {
  readonly rows: number;
  readonly bytes: number;
  /** Of the stored bytes, in hex. */
  readonly sha256: string;
}

/** How many rows of a batch are of one class of cost. */
export interface ClassCount {
  /** As `costClass` makes it. */
  readonly class: string;
  readonly rows: number;
  /** What one call of the class is guessed to cost before one was seen. */
  readonly guess: Nanocredits;
}

/** What was submitted: the object `batch.json`, whose creation makes the batch, and which never changes. */
export interface BatchRecord {
  readonly format: 1;
  readonly id: string;
  readonly account: string;
  /** Milliseconds since 1970. */
  readonly created_at: number;
  readonly model: string;
  readonly source: {
    readonly format: 'csv' | 'ndjson' | 'json';
    /** Of CSV. */
    readonly delimiter?: string;
    /** The file's name, where the upload gave one. */
    readonly filename?: string;
    /** Decoded bytes, and their SHA-256 in hex. */
    readonly bytes: number;
    readonly sha256: string;
  };
  readonly options: BatchOptions;
  /** The upload's own columns, in its order and spelling. Of JSON: the keys in the order in which they were first seen. */
  readonly columns: readonly string[];
  /** Parameters whose value is the text of a column, byte for byte: parameter → index of the column. */
  readonly text: Readonly<Record<string, number>>;
  /** The input of every row, less what a row says itself: all defaults filled in, no prompt and no seed. */
  readonly base: Readonly<Record<string, unknown>>;
  /** Accepted rows, from 1 to this. */
  readonly rows: number;
  /** Part of the names of this upload's parts, so that no other upload's are taken for them. */
  readonly upload: string;
  readonly parts: readonly RowsPart[];
  readonly rejected_parts: readonly RowsPart[];
  readonly report: BatchReport;
  readonly classes: readonly ClassCount[];
  /** The request that submitted it, and its span; see {@link Origin}. */
  readonly request?: string;
  readonly traceparent?: string;
}

/** What somebody may decide about a batch; `set` changes its terms. */
export type BatchAction = 'pause' | 'resume' | 'cancel' | 'retry' | 'set';

/** What may change about a batch. Each change is an object of its own in the store; the one with the highest `seq` holds. */
export interface BatchDecision {
  /** From 1, without gaps. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The account that decided, what it did, and what that changed. Left out of the first decision, and where a batch paused itself. */
  readonly by?: string;
  readonly action?: BatchAction;
  readonly changes?: readonly AuditChange[];
  readonly status: 'running' | 'paused' | 'canceled';
  /** Set exactly while paused. */
  readonly hold?: BatchHold;
  /** How often its failed rows were retried. */
  readonly runs: number;
  readonly name: string | null;
  readonly budget: Nanocredits | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Who is told of it besides the account's endpoints. */
  readonly webhook?: string;
  /** Which events, of its rows, too; only its own if left out. */
  readonly webhook_events?: readonly EventType[];
}
