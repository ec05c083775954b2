import type { JobErrorCode } from '@renderyard/shared/job/job';

/**
 * How one run of a ticket ends. A closed set: worker.ts translates it for BullMQ, and nothing else does. Its members
 * are listed in docs/endings.md, which a test compares with this file.
 */
export type Ending =
  /** The image is stored, or was by an earlier run. */
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly code: JobErrorCode }
  /** An attempt was used; the next is due after this many milliseconds. */
  | { readonly kind: 'retry'; readonly afterMs: number }
  /** No attempt was used; the work waits for a reason. */
  | { readonly kind: 'deferred'; readonly reason: DeferReason; readonly afterMs: number }
  | { readonly kind: 'canceled' }
  | { readonly kind: 'expired' }
  /** A call's outcome is unknown, it is counted as spent, and the job is called again after this many milliseconds. */
  | { readonly kind: 'uncertain'; readonly afterMs: number }
  /** The ticket asks for nothing: its job ended, has another ticket, or waits elsewhere for its model. */
  | { readonly kind: 'void' };

export type DeferReason =
  | 'hold'
  | 'rate'
  | 'slot'
  | 'pace'
  | 'drain'
  | 'learn'
  | 'busy'
  | 'shutdown'
  | 'refused'
  | 'error';
