import { nanocredits } from '@renderyard/shared/credits/amount';
import type { Grant } from '@renderyard/shared/credits/ledger';
import { newId } from '@renderyard/shared/ids';
import type { Job } from '@renderyard/shared/job/job';
import type { JobEnd, JobStore, LostCall, Reading, Ticket } from '@renderyard/shared/job/job-store';
import type { Logger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import type { BalanceAnswer, SegmindClient } from '../segmind/client.ts';
import type { AnswerFacts, ImageOutcome, NoImageOutcome, Outcome } from '../segmind/outcome.ts';
import { type AdmitDependencies, admit } from './admit.ts';
import type { CallsInFlight } from './calls-in-flight.ts';
import type { Ending } from './ending.ts';
import { HOLD_WAIT_MS, type Judgement, judge, type RetryPolicy, unknownOutcome } from './judge.ts';
import type { Rescue } from './rescue.ts';
import { findImage, storeImage } from './store-image.ts';

export interface RenderDependencies extends AdmitDependencies {
  readonly jobs: JobStore;
  readonly store: Store;
  readonly segmind: SegmindClient;
  readonly calls: CallsInFlight;
  readonly rescue: Rescue;
  readonly policy: RetryPolicy;
  readonly logger: Logger;
  /** Aborts when calls in flight can be waited for no longer. */
  readonly abort: AbortSignal;
}

/** A call that was made, and what came of it. */
interface MadeCall {
  readonly id: string;
  readonly grant: Grant;
}

/**
 * Renders the job of one ticket: claim → admit → call → verify → store → settle → record → announce. Verifying is part
 * of the call, settling and announcing are part of the record, which is one script. Whatever ends it, what was spent is
 * counted and the job is in one known state.
 */
export async function render(ticket: Ticket, deps: RenderDependencies): Promise<Ending> {
  const claim = await deps.jobs.claim(ticket, deps.policy.trialMs);
  if (claim.verdict === 'void') return { kind: 'void' };
  if (claim.verdict === 'busy') return { kind: 'deferred', reason: 'busy', afterMs: claim.ms };
  const { job } = claim;

  if (claim.lost !== undefined) return recover(job, claim.lost, deps);
  if (job.cancelRequested) return conclude(job, { status: 'canceled' }, { kind: 'canceled' }, deps);
  if (job.expiresAt !== undefined && job.expiresAt <= claim.now) {
    const error = { code: 'expired', detail: 'The job was not rendered before the end of its expires_in.' } as const;
    return conclude(job, { status: 'expired', error }, { kind: 'expired' }, deps);
  }

  const call = newId('call');
  const admission = await admit(job, call, deps);
  if (admission.kind === 'no') return admission.ending;
  if (admission.kind === 'park') return conclude(job, { status: 'parked' }, { kind: 'void' }, deps);
  return makeCall(job, { id: call, grant: admission.grant }, deps);
}

/** The paid part: from here on every way out settles the call. */
async function makeCall(job: Job, call: MadeCall, deps: RenderDependencies): Promise<Ending> {
  const began = deps.clock.now();
  const release = deps.calls.enter(call.id);
  let outcome: Outcome | undefined;
  try {
    outcome = await deps.segmind.render({ id: call.id, model: job.model, input: job.input, signal: deps.abort });
    const facts = 'facts' in outcome ? outcome.facts : undefined;
    deps.logger.info(
      {
        job: job.id,
        call: call.id,
        outcome: outcome.kind,
        ...describe(facts),
        granted_at: new Date(call.grant.startedAt).toISOString(),
        call_ms: deps.clock.now() - began,
      },
      'a call ended',
    );
    return outcome.kind === 'image'
      ? await keepImage(job, call, outcome, deps)
      : await judged(job, call, outcome, deps);
  } catch (error) {
    deps.logger.error(
      { err: error, job: job.id, call: call.id },
      'a call could not be settled; its credits are counted as uncertain',
    );
    const { end, ending } = unknownOutcome(
      job,
      job.tries + 1,
      'internal_error',
      { kind: 'uncertain', how: 'internal_error' },
      deps.policy,
    );
    return record(job, call, end, facts(outcome), ending, deps);
  } finally {
    release();
    if (outcome?.kind === 'image') await outcome.image.discard();
  }
}

async function keepImage(job: Job, call: MadeCall, outcome: ImageOutcome, deps: RenderDependencies): Promise<Ending> {
  const settlement = { kind: 'spent', cost: outcome.facts.cost } as const;
  const stored = await storeImage(job, call.id, outcome.image, outcome.facts, deps);
  switch (stored.kind) {
    case 'stored':
      return record(
        job,
        call,
        { status: 'succeeded', settlement, output: [stored.image] },
        outcome.facts,
        { kind: 'succeeded' },
        deps,
      );
    case 'refused': {
      const error = { code: 'store_failed', detail: `${stored.detail} The render was paid for.` } as const;
      return record(
        job,
        call,
        { status: 'failed', settlement, error },
        outcome.facts,
        { kind: 'failed', code: 'store_failed' },
        deps,
      );
    }
    case 'gave_up':
      // The call stays open, and is found by the job's next run as lost; the image waits on disk to be stored before it.
      await deps.rescue.keep(job, call.id, outcome.image, outcome.facts);
      return { kind: 'deferred', reason: 'shutdown', afterMs: 0 };
  }
}

async function judged(job: Job, call: MadeCall, outcome: NoImageOutcome, deps: RenderDependencies): Promise<Ending> {
  const refusedByAccount = outcome.kind === 'unauthorized' || outcome.kind === 'no_credits';
  const probe = refusedByAccount ? await deps.prober.probe({ holdIfUnread: false }) : undefined;
  const judgement = refusedByAccount ? explained(outcome, call, probe) : undefined;
  const { end, ending, hold, log } = judgement ?? judge(job, outcome, deps.policy);
  if (hold !== undefined) {
    const isNew = await deps.ledger.setHold(hold.name, hold.detail, hold);
    if (isNew) deps.logger.warn({ hold: hold.name, job: job.id }, hold.detail);
  }
  deps.logger[log](
    {
      job: job.id,
      call: call.id,
      outcome: outcome.kind,
      cause: 'cause' in outcome ? outcome.cause : undefined,
      ending: ending.kind,
    },
    'a call gave no image',
  );
  return record(job, call, end, 'facts' in outcome ? outcome.facts : undefined, ending, deps);
}

/** What the balance call says about a refusal of the account; undefined when it does not explain it. */
function explained(outcome: Outcome, call: MadeCall, probe: BalanceAnswer | undefined): Judgement | undefined {
  const wait: Pick<Judgement, 'end' | 'ending' | 'log'> = {
    end: { status: 'queued', counted: false, settlement: { kind: 'released' } },
    ending: { kind: 'deferred', reason: 'hold', afterMs: probe === undefined ? 1000 : HOLD_WAIT_MS },
    log: 'warn',
  };
  // Another worker is asking, or the upstream cannot be asked: in doubt nobody is charged.
  if (probe === undefined || probe.kind === 'unreachable' || probe.kind === 'unauthorized') return wait;
  if (outcome.kind === 'no_credits' && probe.kind === 'balance' && probe.value < call.grant.estimate) {
    return {
      ...wait,
      hold: {
        name: 'credits',
        detail: 'The upstream has not enough credits for another image. Work goes on after a top-up.',
      },
    };
  }
  return undefined;
}

/** A call of an earlier run whose worker was lost: its image may be in the store, else nobody knows. */
async function recover(job: Job, lost: LostCall, deps: RenderDependencies): Promise<Ending> {
  const found = await lookForImage(job, deps).catch((error: unknown) => {
    deps.logger.warn({ err: error, job: job.id }, 'the store cannot tell whether an image was stored');
    return 'unreadable' as const;
  });
  if (found === 'unreadable') return { kind: 'deferred', reason: 'hold', afterMs: HOLD_WAIT_MS };
  const call = {
    id: lost.call,
    settlement: { kind: 'spent' as const, cost: found?.cost === undefined ? undefined : nanocredits(found.cost) },
  };
  if (found !== undefined) {
    deps.logger.warn(
      { job: job.id, call: lost.call, key: found.image.key },
      'the image of a lost call was in the store; it is not paid for again',
    );
    await deps.jobs.record({ job: job.id, status: 'succeeded', call, output: [found.image] }, deps.policy.trialMs);
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
    { job: job.id, call: lost.call, ending: ending.kind },
    'the worker of a call was lost; its credits are counted as uncertain',
  );
  const { status } = await deps.jobs.record(
    { job: job.id, ...rest, call: { id: lost.call, settlement } },
    deps.policy.trialMs,
  );
  return status === 'canceled' ? { kind: 'canceled' } : ending;
}

/** Looks into the store, where what this machine kept for it is put first. */
async function lookForImage(job: Job, { rescue, store }: RenderDependencies) {
  await rescue.storeKept(store);
  return findImage(job, store);
}

type CallEnd = Omit<JobEnd, 'job' | 'call'> & { readonly settlement: NonNullable<JobEnd['call']>['settlement'] };

/** Writes down how a call ended, and says what that makes of the run. */
async function record(
  job: Job,
  call: MadeCall,
  { settlement, ...end }: CallEnd,
  facts: AnswerFacts | undefined,
  ending: Ending,
  deps: RenderDependencies,
): Promise<Ending> {
  const reading: Reading | undefined =
    facts?.remaining === undefined
      ? undefined
      : { value: facts.remaining, seq: call.grant.seq, startedAt: call.grant.startedAt };
  const retryAt =
    ending.kind === 'retry' || ending.kind === 'uncertain' ? { retryAt: deps.clock.now() + ending.afterMs } : {};
  const { status, late } = await deps.jobs.record(
    { job: job.id, ...end, ...retryAt, call: { id: call.id, settlement, reading } },
    deps.policy.trialMs,
  );
  if (late) {
    deps.logger.warn(
      { job: job.id, call: call.id, status },
      'a call ended after its job had gone on without it; it was counted',
    );
    return { kind: 'void' };
  }
  if (status === 'canceled') return { kind: 'canceled' };
  if (status === 'parked') return { kind: 'void' };
  if (status === 'queued' && ending.kind === 'failed')
    return { kind: 'deferred', reason: 'refused', afterMs: HOLD_WAIT_MS };
  return ending;
}

/** Ends a run in which no call was made. */
async function conclude(
  job: Job,
  end: Omit<JobEnd, 'job' | 'call'>,
  ending: Ending,
  deps: RenderDependencies,
): Promise<Ending> {
  await deps.jobs.record({ job: job.id, ...end }, deps.policy.trialMs);
  return ending;
}

function facts(outcome: Outcome | undefined): AnswerFacts | undefined {
  return outcome !== undefined && 'facts' in outcome ? outcome.facts : undefined;
}

function describe(facts: AnswerFacts | undefined) {
  return facts === undefined
    ? {}
    : { status: facts.status, upstream_request: facts.requestId, cost: facts.cost, remaining: facts.remaining };
}
