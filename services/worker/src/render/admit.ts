import type { Clock } from '@renderyard/shared/clock';
import type { CallLimits, Grant } from '@renderyard/shared/credits/admission';
import { costClass, estimateCost } from '@renderyard/shared/credits/estimate';
import { type HoldName, holdsAll } from '@renderyard/shared/credits/hold';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Job } from '@renderyard/shared/job/job';
import { costFactors, findModel } from '@renderyard/shared/model/model';
import type { Prober } from '../credits/prober.ts';
import type { DeferReason, Ending } from './ending.ts';
import { HOLD_WAIT_MS } from './judge.ts';

/** A ticket keeps its place among this worker's for so long while it waits for a slot or for its turn. */
const MOST_WAIT_MS = 10_000;
/** How long to leave another worker that is asking for the balance before looking again. */
const PROBED_ELSEWHERE_MS = 100;

export type Admission =
  | { readonly kind: 'go'; readonly grant: Grant }
  | { readonly kind: 'no'; readonly ending: Ending }
  /** The job's model or key is held: it is to wait without keeping a place. */
  | { readonly kind: 'park'; readonly for: HoldName };

export interface AdmitDependencies {
  readonly ledger: Ledger;
  readonly prober: Prober;
  readonly limits: CallLimits;
  readonly clock: Clock;
  readonly worker: string;
  /** `CREDIT_ESTIMATE`. */
  readonly creditEstimate: number;
  /** Aborts when the worker stops taking work. */
  readonly stopping: AbortSignal;
}

/** Asks the ledger until it says yes or no, waiting in between for a slot, for the pace, or for calls in flight to end. */
export async function admit(
  job: Job,
  call: string,
  { ledger, prober, limits, clock, worker, creditEstimate, stopping }: AdmitDependencies,
): Promise<Admission> {
  const model = findModel(job.model);
  const factors =
    model === undefined ? { model: job.model, steps: 30, width: 1024, height: 1024 } : costFactors(model, job.input);
  const request = {
    job: job.id,
    call,
    worker,
    model: job.model,
    costClass: costClass(factors),
    estimate: estimateCost(factors, creditEstimate),
  };
  const deadline = clock.now() + MOST_WAIT_MS;
  for (;;) {
    if (stopping.aborted) return deferred('shutdown', 0);
    const verdict = await ledger.admit(request, limits);
    switch (verdict.verdict) {
      case 'go':
        return { kind: 'go', grant: verdict };
      case 'gone':
        return { kind: 'no', ending: { kind: 'void' } };
      case 'hold':
        return held(verdict.name, verdict.ms);
      case 'probe':
        if ((await prober.probe({ holdIfUnread: true })) === undefined)
          await clock.sleep(PROBED_ELSEWHERE_MS, stopping);
        break;
      case 'wait':
        if (clock.now() + verdict.ms > deadline) return deferred(verdict.reason, verdict.ms);
        await clock.sleep(verdict.ms, stopping);
        break;
    }
  }
}

function held(name: HoldName, ms: number | undefined): Admission {
  if (!holdsAll(name)) return { kind: 'park', for: name };
  return deferred(name === 'rate' ? 'rate' : 'hold', Math.min(ms ?? HOLD_WAIT_MS, HOLD_WAIT_MS));
}

function deferred(reason: DeferReason, afterMs: number): Admission {
  return { kind: 'no', ending: { kind: 'deferred', reason, afterMs } };
}
