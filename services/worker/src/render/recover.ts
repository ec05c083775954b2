import type { Job } from '@renderyard/shared/job/job';
import type { LostCall } from '@renderyard/shared/job/job-store';
import { findImage } from '@renderyard/shared/job/stored-image';
import type { Ending } from './ending.ts';
import { HOLD_WAIT_MS, unknownOutcome } from './judge.ts';
import type { RenderDependencies } from './render-dependencies.ts';
import { tellEnd } from './tell-end.ts';
import type { RunningWork } from './work.ts';

/** A call of an earlier run whose worker was lost: its image may be in the store, else nobody knows. */
export async function recover(work: RunningWork, lost: LostCall, deps: RenderDependencies): Promise<Ending> {
  const { job, row } = work;
  work.run.call = lost.call;
  const found = await lookForImage(job, lost.call, deps).catch((error: unknown) => {
    deps.logger.warn({ err: error, job: job.id }, 'the store cannot tell whether an image was stored');
    return 'unreadable' as const;
  });
  if (found === 'unreadable') return { kind: 'deferred', reason: 'hold', afterMs: HOLD_WAIT_MS };
  const call = {
    id: lost.call,
    settlement: { kind: 'spent' as const, cost: found?.cost },
  };
  if (found !== undefined) {
    deps.logger.warn(
      { job: job.id, request_id: job.origin?.request, call: lost.call, key: found.image.key },
      'the image of a lost call was in the store; it is not paid for again',
    );
    const end = { job: job.id, row, status: 'succeeded', call, output: [found.image] } as const;
    tellEnd(work, await deps.jobs.record(end, deps.policy.trialMs), end, deps);
    return { kind: 'succeeded' };
  }
  // The lost call was counted as a try when it was admitted; it is judged as that try.
  const { end, ending } = unknownOutcome(
    { ...job, tries: job.tries - 1 },
    job.tries,
    'lost_worker',
    { kind: 'uncertain', how: 'lost_worker' },
    deps.policy,
  );
  const { settlement, ...rest } = end;
  deps.logger.warn(
    { job: job.id, request_id: job.origin?.request, call: lost.call, ending: ending.kind },
    'the worker of a call was lost; its credits are counted as uncertain',
  );
  const recorded = await deps.jobs.record(
    { job: job.id, row, ...rest, call: { id: lost.call, settlement } },
    deps.policy.trialMs,
  );
  // Not before: what could not be recorded is looked at again, and a call that is told late was counted as lost.
  if (!recorded.late) deps.metrics.callUncertain();
  tellEnd(work, recorded, rest, deps);
  const { status } = recorded;
  if (status === 'parked') return { kind: 'void' };
  return status === 'canceled' ? { kind: 'canceled' } : ending;
}

/** Looks into the store, where what this machine kept for it is put first. */
async function lookForImage(job: Job, call: string, { rescue, store }: RenderDependencies) {
  await rescue.storeKept(store);
  return findImage(store, job.imageKey, job.id, { call });
}
