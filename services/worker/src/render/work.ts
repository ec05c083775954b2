import type { Job } from '@renderyard/shared/job/job';
import type { RowEnd } from '@renderyard/shared/job/job-end';
import type { Run } from './run.ts';

/** What one run of a ticket has to do. */
export interface Work {
  /** Complete: also a row's input and the place of its image are known. */
  readonly job: Job;
  /** Of a row of a batch: what its end needs. */
  readonly row: RowEnd | undefined;
}

/** The same, while it is done. */
export interface RunningWork extends Work {
  readonly run: Run;
}
