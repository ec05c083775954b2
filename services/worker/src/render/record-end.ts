import type { Grant } from '@renderyard/shared/credits/admission';
import { costClass } from '@renderyard/shared/credits/estimate';
import { LATE_BILLING_MS } from '@renderyard/shared/credits/ledger';
import type { Job } from '@renderyard/shared/job/job';
import type { JobEnd } from '@renderyard/shared/job/job-end';
import { costFactors, findModel } from '@renderyard/shared/model/model';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { RenderDependencies } from './render-dependencies.ts';

/** How often to look whether an emptied Redis has been rebuilt, in milliseconds. */
const LOOK_MS = 250;

/**
 * Records the end of a call. Where Redis was emptied while the call was out, its end is kept until Redis has been
 * rebuilt, and recorded there as if that had granted the call: what was spent is counted whatever happens to Redis.
 * @throws what Redis throws; {@link GenerationLostError} only when the worker must stop before Redis is rebuilt.
 */
export async function recordEnd(
  job: Job,
  call: { readonly id: string; readonly grant: Grant; readonly generation: string },
  end: JobEnd,
  deps: RenderDependencies,
) {
  for (;;) {
    const { current } = deps.generation;
    try {
      return await deps.jobs.record(
        current === call.generation ? end : { ...end, adopt: adopted(job, call.grant, deps) },
        deps.policy.trialMs,
      );
    } catch (error) {
      if (!(error instanceof GenerationLostError) || deps.abort.aborted) throw error;
      deps.calls.ended(call.id);
      while (deps.generation.current === current && !deps.abort.aborted) await deps.clock.sleep(LOOK_MS, deps.abort);
    }
  }
}

function adopted(job: Job, { estimate, startedAt }: Grant, { worker, limits }: RenderDependencies) {
  const model = findModel(job.model);
  return {
    worker,
    account: job.account,
    model: job.model,
    costClass: model === undefined ? job.model : costClass(costFactors(model, job.input)),
    estimate,
    startedAt,
    resolveAfter: startedAt + limits.timeoutMs + LATE_BILLING_MS,
    attempts: job.attempts + 1,
  };
}
