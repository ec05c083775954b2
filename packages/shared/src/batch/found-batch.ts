import type { BatchRecord } from './batch.ts';
import type { BatchState } from './batch-state.ts';

/** A batch: what was submitted, and how it stands. */
export interface FoundBatch {
  readonly record: BatchRecord;
  readonly state: BatchState;
}
