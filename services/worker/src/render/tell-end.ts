import type { Image, JobError } from '@renderyard/shared/job/job';
import { jobRecord } from '@renderyard/shared/job/job-record';
import type { Recorded } from '@renderyard/shared/job/job-store';
import type { Logger } from '@renderyard/shared/logger';
import { traceField } from '@renderyard/shared/tracing/spans';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import type { RunningWork } from './work.ts';

/**
 * Tells of the end of a job, if it was ended by what was recorded: counts it, and writes its one line in the log. That
 * has no prompt, and of the error only its code.
 */
export function tellEnd(
  { job, run }: RunningWork,
  { status, late, ended }: Recorded,
  { output, error }: { readonly output?: readonly Image[]; readonly error?: JobError },
  { logger, metrics }: { readonly logger: Logger; readonly metrics: WorkerMetrics },
): void {
  if (!late) metrics.jobEnded({ status });
  if (ended === undefined) return;
  const image = status === 'succeeded' ? output?.[0] : undefined;
  logger.info(
    {
      ...jobRecord(job, status, ended, error?.code),
      call: run.call,
      outcome: run.outcome,
      call_ms: run.callMs,
      store_ms: run.storeMs,
      upstream_status: run.facts?.status,
      upstream_request: run.facts?.requestId,
      key: image?.key,
      bytes: image?.bytes,
      ...traceField(run.span),
    },
    'job',
  );
}
