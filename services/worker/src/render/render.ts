import type { Grant } from '@renderyard/shared/credits/admission';
import { toCredits } from '@renderyard/shared/credits/amount';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { newId } from '@renderyard/shared/ids';
import type { Image, Job } from '@renderyard/shared/job/job';
import type { JobEnd, Reading } from '@renderyard/shared/job/job-end';
import type { Claim, Ticket } from '@renderyard/shared/job/job-store';
import { findImage } from '@renderyard/shared/job/stored-image';
import { StoreError } from '@renderyard/shared/store/store-error';
import type { AnswerFacts, ImageOutcome, NoImageOutcome, Outcome } from '../segmind/outcome.ts';
import { admit } from './admit.ts';
import type { Ending } from './ending.ts';
import { explainRefusal } from './explain-refusal.ts';
import { callsUsedUp, HOLD_WAIT_MS, judge } from './judge.ts';
import { loadRow, RowLostError } from './load-row.ts';
import { recordEnd } from './record-end.ts';
import { recover } from './recover.ts';
import type { RenderDependencies } from './render-dependencies.ts';
import { beginRun, endRun, type Run } from './run.ts';
import { holdForStore } from './store-image.ts';
import { tellEnd } from './tell-end.ts';
import { callTraced, storeTraced } from './traced-steps.ts';
import type { RunningWork, Work } from './work.ts';

/** A call that was made, and what came of it. */
interface MadeCall {
  readonly id: string;
  readonly grant: Grant;
  /** The Redis that granted it. */
  readonly generation: string;
}

/**
 * Renders the job of one ticket: claim → admit → call → verify → store → settle → record → announce. Verifying is part
 * of the call, settling and announcing are part of the record, which is one script. Whatever ends it, what was spent is
 * counted and the job is in one known state.
 */
export async function render(ticket: Ticket, deps: RenderDependencies): Promise<Ending> {
  const generation = deps.generation.current;
  const claim = await deps.jobs.claim(ticket, deps.policy.trialMs);
  if (claim.verdict === 'void') return { kind: 'void' };
  if (claim.verdict === 'busy') return { kind: 'deferred', reason: 'busy', afterMs: claim.ms };
  const loaded = await load(claim.job, deps);
  if ('kind' in loaded) return loaded;
  const work = { ...loaded, run: beginRun(loaded.job) };
  const ending = await run(work, { ...claim, generation }, deps);
  endRun(work.run, ending);
  return ending;
}

async function run(
  loaded: RunningWork,
  claim: Pick<Claim & { verdict: 'yours' }, 'lost' | 'now'> & { readonly generation: string },
  deps: RenderDependencies,
): Promise<Ending> {
  const { job } = loaded;
  if (claim.lost !== undefined) return recover(loaded, claim.lost, deps);
  if (job.cancelRequested) return conclude(loaded, { status: 'canceled' }, { kind: 'canceled' }, deps);
  if (job.expiresAt !== undefined && job.expiresAt <= claim.now) {
    const error = { code: 'expired', detail: 'The job was not rendered before the end of its expires_in.' } as const;
    return conclude(loaded, { status: 'expired', error }, { kind: 'expired' }, deps);
  }

  const usedUp = callsUsedUp(job, deps.policy);
  const found = await findEarlierImage(loaded, usedUp !== undefined, deps);
  if (found !== undefined)
    return conclude(loaded, { status: 'succeeded', output: [found] }, { kind: 'succeeded' }, deps);

  if (usedUp !== undefined)
    return conclude(loaded, { status: 'failed', error: usedUp }, { kind: 'failed', code: usedUp.code }, deps);

  const call = newId('call');
  const admission = await admit(job, call, deps);
  if (admission.kind === 'no') return admission.ending;
  if (admission.kind === 'park')
    return conclude(loaded, { status: 'parked', parkedFor: admission.for }, { kind: 'void' }, deps);
  return makeCall(loaded, { id: call, grant: admission.grant, generation: claim.generation }, deps);
}

/** The job with all that its run needs; a row's lies in the store. An ending when that cannot be had. */
async function load(job: Job, deps: RenderDependencies): Promise<Work | Ending> {
  try {
    return await loadRow(job, deps);
  } catch (error) {
    if (error instanceof StoreError) {
      holdForStore(deps);
      return { kind: 'deferred', reason: 'hold', afterMs: HOLD_WAIT_MS };
    }
    if (!(error instanceof RowLostError)) throw error;
    deps.logger.error({ err: error, job: job.id }, 'a row cannot be read and fails');
    const failure = { code: 'store_failed', detail: 'The store no longer has this row as it was submitted.' } as const;
    const ending = { kind: 'failed', code: 'store_failed' } as const;
    const work = { job, row: { part: error.part }, run: beginRun(job) };
    await conclude(work, { status: 'failed', error: failure }, ending, deps);
    endRun(work.run, ending);
    return ending;
  }
}

/** A row of an earlier run whose outcome stayed unknown may have got its image after all; it is not paid for again. */
async function findEarlierImage(
  { job, row }: Work,
  last: boolean,
  { store, rescue }: RenderDependencies,
): Promise<Image | undefined> {
  if (!last && ((row?.previous?.uncertain ?? 0) === 0 || job.attempts > 0)) return undefined;
  if (last) await rescue.storeKept(store);
  return (await findImage(store, job.imageKey, job.id))?.image;
}

/** The paid part: from here on every way out settles the call, or leaves it open to be found. */
async function makeCall(work: RunningWork, call: MadeCall, deps: RenderDependencies): Promise<Ending> {
  const { job } = work;
  const began = deps.clock.now();
  if (job.batch === undefined && job.startedAt === undefined)
    deps.metrics.jobBegan({ waitSeconds: (call.grant.startedAt - job.createdAt) / 1000 });
  const release = deps.calls.enter(call.id);
  let outcome: Outcome | undefined;
  try {
    outcome = await callTraced(work, call, deps);
    const callMs = deps.clock.now() - began;
    deps.metrics.callEnded({ model: job.model, outcome: outcome.kind, seconds: callMs / 1000 });
    const facts = 'facts' in outcome ? outcome.facts : undefined;
    Object.assign(work.run, { call: call.id, outcome: outcome.kind, callMs, facts } satisfies Partial<Run>);
    // What ends with the job is told by its line.
    deps.logger.debug(
      {
        job: job.id,
        request_id: job.origin?.request,
        call: call.id,
        outcome: outcome.kind,
        ...describe(facts),
        granted_at: new Date(call.grant.startedAt).toISOString(),
        call_ms: callMs,
      },
      'a call ended',
    );
    return outcome.kind === 'image'
      ? await keepImage(work, call, outcome, deps)
      : await judged(work, call, outcome, deps);
  } catch (error) {
    // The call stays open: the job's next run finds it as lost, and its image in the store if it came so far.
    deps.logger.error({ err: error, job: job.id, call: call.id }, 'a call could not be settled; it is looked at again');
    return { kind: 'deferred', reason: 'error', afterMs: LEASE_MS };
  } finally {
    release();
    if (outcome?.kind === 'image') await outcome.image.discard();
  }
}

async function keepImage(
  work: RunningWork,
  call: MadeCall,
  outcome: ImageOutcome,
  deps: RenderDependencies,
): Promise<Ending> {
  const { job } = work;
  const settlement = { kind: 'spent', cost: outcome.facts.cost } as const;
  countSpent(settlement, call.grant, deps);
  const stored = await storeTraced(work, call, outcome, deps);
  switch (stored.kind) {
    case 'stored':
      return record(
        work,
        call,
        { status: 'succeeded', settlement, output: [stored.image] },
        outcome.facts,
        { kind: 'succeeded' },
        deps,
      );
    case 'refused': {
      const error = { code: 'store_failed', detail: `${stored.detail} The render was paid for.` } as const;
      return record(
        work,
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

async function judged(
  work: RunningWork,
  call: MadeCall,
  outcome: NoImageOutcome,
  deps: RenderDependencies,
): Promise<Ending> {
  const { job } = work;
  const refusedByAccount = outcome.kind === 'unauthorized' || outcome.kind === 'no_credits';
  const probe = refusedByAccount ? await deps.prober.explain(outcome) : undefined;
  const judgement = refusedByAccount ? explainRefusal(outcome, call.grant.estimate, probe) : undefined;
  const { end, ending, hold, log } = judgement ?? judge(job, outcome, deps.policy);
  countSpent(end.settlement, call.grant, deps);
  if (hold !== undefined) {
    const isNew = await deps.ledger.setHold(hold.name, hold.detail, hold);
    if (isNew) deps.logger.warn({ hold: hold.name, job: job.id }, hold.detail);
  }
  deps.logger[log](
    {
      job: job.id,
      request_id: job.origin?.request,
      call: call.id,
      outcome: outcome.kind,
      ...describe(work.run.facts),
      call_ms: work.run.callMs,
      cause: 'cause' in outcome ? outcome.cause : undefined,
      ending: ending.kind,
    },
    'a call gave no image',
  );
  return record(work, call, end, 'facts' in outcome ? outcome.facts : undefined, ending, deps);
}

/** Before it is settled: that may have to wait for the store or for Redis, and the credits are gone already. */
function countSpent(settlement: CallEnd['settlement'], { estimate }: Grant, { metrics }: RenderDependencies): void {
  if (settlement.kind === 'spent') metrics.creditsSpent(settlement.cost ?? estimate);
}

type CallEnd = Omit<JobEnd, 'job' | 'call'> & { readonly settlement: NonNullable<JobEnd['call']>['settlement'] };

/** Writes down how a call ended, and says what that makes of the run. */
async function record(
  work: RunningWork,
  call: MadeCall,
  { settlement, ...end }: CallEnd,
  facts: AnswerFacts | undefined,
  ending: Ending,
  deps: RenderDependencies,
): Promise<Ending> {
  const { job, row } = work;
  const reading: Reading | undefined =
    facts?.remaining === undefined
      ? undefined
      : { value: facts.remaining, seq: call.grant.seq, startedAt: call.grant.startedAt };
  const retryAt =
    ending.kind === 'retry' || ending.kind === 'uncertain' ? { retryAt: deps.clock.now() + ending.afterMs } : {};
  const recorded = await recordEnd(
    job,
    call,
    { job: job.id, row, ...end, ...retryAt, call: { id: call.id, settlement, reading } },
    deps,
  );
  const { status } = recorded;
  if (recorded.late) {
    deps.logger.warn(
      { job: job.id, call: call.id, status },
      'a call ended after its job had gone on without it; it was counted',
    );
    return { kind: 'void' };
  }
  // Not before: a call whose end could not be recorded is found as lost, and is counted then.
  if (settlement.kind === 'uncertain') deps.metrics.callUncertain();
  tellEnd(work, recorded, end, deps);
  if (status === 'canceled') return { kind: 'canceled' };
  if (status === 'parked') return { kind: 'void' };
  if (status === 'queued' && ending.kind === 'failed')
    return { kind: 'deferred', reason: 'refused', afterMs: HOLD_WAIT_MS };
  return ending;
}

/** Ends a run in which no call was made. */
async function conclude(
  work: RunningWork,
  end: Omit<JobEnd, 'job' | 'call'>,
  ending: Ending,
  deps: RenderDependencies,
): Promise<Ending> {
  const { job, row } = work;
  tellEnd(work, await deps.jobs.record({ job: job.id, row, ...end }, deps.policy.trialMs), end, deps);
  return ending;
}

/** Amounts are in credits, as in the line of the job. */
function describe(facts: AnswerFacts | undefined) {
  if (facts === undefined) return {};
  const credits = (amount: typeof facts.cost) => (amount === undefined ? undefined : toCredits(amount));
  return {
    status: facts.status,
    upstream_request: facts.requestId,
    cost: credits(facts.cost),
    remaining: credits(facts.remaining),
  };
}
