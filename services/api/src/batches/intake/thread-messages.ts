import type { OpenStoreSettings } from '@renderyard/shared/store/open-store';
import type { ImportJob, ImportLimits, ImportOptions, ImportResult } from './import-job.ts';
import type { SentError } from './sent-error.ts';

/** What a thread is started with. */
export interface ThreadSetup {
  readonly store: OpenStoreSettings;
  readonly limits: ImportLimits;
  readonly creditEstimate: number;
}

/** Numbers the imports of a thread: messages of an earlier one are left out of account. */
interface Numbered {
  readonly n: number;
}

/**
 * What a thread is told. `options` answers `fields`; after `abort` the import is to end, and to leave nothing on its way
 * to the store.
 */
export type ToThread = Numbered &
  (
    | { readonly kind: 'begin'; readonly job: ImportJob; readonly begun: Int32Array }
    | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
    | { readonly kind: 'end' }
    | { readonly kind: 'options'; readonly options: ImportOptions }
    | { readonly kind: 'abort' }
  );

/**
 * What a thread tells. `taken`: so many bytes no longer wait in the thread. `fields`: how are the rows to be read, given
 * these options of the body?
 */
export type FromThread = Numbered &
  (
    | { readonly kind: 'taken'; readonly bytes: number }
    | { readonly kind: 'fields'; readonly fields: Readonly<Record<string, unknown>> }
    | ThreadAnswer
  );

/** How an import ended, as its thread tells it. */
export type ThreadAnswer =
  | { readonly kind: 'done'; readonly result: ImportResult }
  | { readonly kind: 'failed'; readonly error: SentError };

/** Indexes of the shared counters of begun parts. */
export const BEGUN_ROWS = 0;
export const BEGUN_REJECTED = 1;
