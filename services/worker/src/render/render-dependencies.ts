import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { Logger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import type { SegmindClient } from '../segmind/client.ts';
import type { AdmitDependencies } from './admit.ts';
import type { CallsInFlight } from './calls-in-flight.ts';
import type { RetryPolicy } from './judge.ts';
import type { Rescue } from './rescue.ts';

/** What a render needs: everything outside of it that it touches. */
export interface RenderDependencies extends AdmitDependencies {
  readonly jobs: JobStore;
  readonly files: BatchFiles;
  readonly states: BatchStates;
  /** The Redis that is worked on; it changes when it was emptied and has been rebuilt. */
  readonly generation: { readonly current: string };
  readonly store: Store;
  readonly segmind: SegmindClient;
  readonly calls: CallsInFlight;
  readonly rescue: Rescue;
  readonly policy: RetryPolicy;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
  /** Aborts when calls in flight can be waited for no longer. */
  readonly abort: AbortSignal;
}
