import type { OpenStoreSettings } from '@renderyard/shared/store/open-store';
import type { ImportJob, ImportLimits, ImportOptions, ImportResult } from './import-job.ts';
import type { SentError } from './sent-error.ts';

/** What a thread is started with. */
export interface ThreadSetup {
  readonly store: OpenStoreSettings;
  readonly limits: ImportLimits;
  readonly creditEstimate: number;
}

/** What a thread is told. `n` numbers the imports of a thread: messages of an earlier one are left out of account. */
export type ToThread = { readonly n: number } & (
  | { readonly kind: 'begin'; readonly job: ImportJob; readonly begun: Int32Array }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  /** The answer to `fields`. */
  | { readonly kind: 'options'; readonly options: ImportOptions }
  /** The import is to end, and to leave nothing on its way to the store. It is answered with `failed`. */
  | { readonly kind: 'abort' }
);

/** What a thread tells. */
export type FromThread = { readonly n: number } & /** So many bytes are no longer waiting in the thread. */
(
  | { readonly kind: 'taken'; readonly bytes: number }
  /** How are the rows to be read, given these options of the body? */
  | { readonly kind: 'fields'; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: 'done'; readonly result: ImportResult }
  | { readonly kind: 'failed'; readonly error: SentError }
);

/** Indexes of the shared counters of begun parts. */
export const BEGUN_ROWS = 0;
export const BEGUN_REJECTED = 1;
