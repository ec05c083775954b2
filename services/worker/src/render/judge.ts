import type { HoldName } from '@renderyard/shared/credits/hold';
import type { Job, JobError } from '@renderyard/shared/job/job';
import type { JobEnd } from '@renderyard/shared/job/job-end';
import type { NoImageOutcome } from '../segmind/outcome.ts';
import { backoff } from './backoff.ts';
import type { Ending } from './ending.ts';

/** How often and how soon a job is tried again. */
export interface RetryPolicy {
  /** `RENDER_ATTEMPTS`: calls of one run of a job, at most. */
  readonly attempts: number;
  /** `RENDER_BACKOFF_MS`. */
  readonly backoffMs: number;
  /** `UNCERTAIN_RETRIES`: calls made again though an earlier one may have been billed. */
  readonly uncertainRetries: number;
  /** `CREDIT_PROBE_MS`: how often a hold is tried. */
  readonly trialMs: number;
  readonly random?: () => number;
}

/** A refusal that may be this row's own matter or everybody's: record.lua tells which, by what others met since. */
export interface Refusal {
  readonly hold: HoldName;
  readonly detail: string;
}

/** What an outcome other than an image means for its job: what to write down, and how the run ends. */
export interface Judgement {
  readonly end: Pick<JobEnd, 'status' | 'counted' | 'uncertain' | 'incident' | 'error' | 'refusal'> & {
    readonly settlement: NonNullable<JobEnd['call']>['settlement'];
  };
  readonly ending: Ending;
  /** A hold to set before the job is put back. */
  readonly hold?: {
    readonly name: HoldName;
    readonly detail: string;
    readonly forMs?: number;
    readonly trialMs?: number;
  };
  /** How loudly the log tells of it. */
  readonly log: 'info' | 'warn' | 'error';
}

/** The wait that a 429 asks for is clamped to this, in milliseconds, and renewed: the header may be years away. */
const RATE_WAIT = { least: 1000, otherwise: 5000, most: 10_000 } as const;
/** A job that a hold keeps looks again after this, in milliseconds; the queue is paused meanwhile. */
export const HOLD_WAIT_MS = 1000;

const DETAILS = {
  timeout: 'No complete answer came within the time allowed.',
  reset: 'The connection broke before an answer came.',
  cut: 'The answer broke off in the middle of the image.',
  bad_image: 'The answer was complete, but it was not an image.',
  gateway: 'A gateway answered in place of the upstream.',
  shutdown: 'The worker was stopped before the answer came.',
  lost_worker: 'The worker that made the call was lost before it could tell how it ended.',
} as const;

/**
 * Says what follows from an outcome. Pure: the same job, outcome and policy give the same judgement, but for jitter.
 * @param job as it was claimed; the call just made counts as one try more
 */
export function judge(job: Job, outcome: NoImageOutcome, policy: RetryPolicy): Judgement {
  const tries = job.tries + 1;
  const again = (kind: 'retry' | 'uncertain'): Ending => ({
    kind,
    afterMs: backoff(tries, policy.backoffMs, policy.random),
  });
  const retryOrFail = (
    error: JobError,
    settlement: Judgement['end']['settlement'],
    more: Partial<Judgement['end']> = {},
  ): Judgement =>
    tries < policy.attempts
      ? { end: { status: 'queued', counted: true, settlement, ...more }, ending: again('retry'), log: 'info' }
      : {
          end: { status: 'failed', counted: true, settlement, error, ...more },
          ending: { kind: 'failed', code: error.code },
          log: 'warn',
        };

  switch (outcome.kind) {
    case 'too_large': {
      const error: JobError = {
        code: 'bad_image',
        detail: 'The image is larger than MAX_IMAGE_BYTES allows. It was paid for and not stored.',
      };
      return {
        end: { status: 'failed', counted: true, settlement: { kind: 'spent', cost: outcome.facts.cost }, error },
        ending: { kind: 'failed', code: error.code },
        log: 'warn',
      };
    }
    case 'rejected': {
      const error: JobError = { code: 'upstream_rejected', detail: outcome.detail };
      return {
        end: { status: 'failed', counted: true, settlement: { kind: 'released' }, error },
        ending: { kind: 'failed', code: error.code },
        log: outcome.facts.status === 405 ? 'error' : 'info',
      };
    }
    case 'unavailable': {
      const error: JobError = {
        code: 'upstream_failed',
        detail: `The upstream failed with status ${outcome.facts.status}, ${tries} times in all.`,
      };
      if (!outcome.maybeBilled) return retryOrFail(error, { kind: 'released' });
      const settlement = { kind: 'uncertain', how: `status_${outcome.facts.status}` } as const;
      // Who wants nothing called again that may have been billed means a gateway's answers, too.
      if (policy.uncertainRetries === 0) return unknownOutcome(job, tries, 'gateway', settlement, policy);
      return retryOrFail(error, settlement, { uncertain: 'shown', incident: 'light' });
    }
    case 'unreached': {
      const error: JobError = {
        code: outcome.timeout ? 'upstream_timeout' : 'upstream_failed',
        detail: `The upstream could not be reached (${outcome.cause}), ${tries} times in all.`,
      };
      return retryOrFail(error, { kind: 'released' }, { incident: true });
    }
    case 'unknown':
      return unknownOutcome(job, tries, outcome.how, { kind: 'uncertain', how: outcome.how }, policy);
    case 'no_such_model': {
      const detail = `The upstream does not know this model (status ${outcome.facts.status}); its address or SEGMIND_BASE_URL is wrong, or it was retired. One job at a time is tried until one succeeds.`;
      return {
        end: { status: 'parked', counted: false, settlement: { kind: 'released' } },
        ending: { kind: 'void' },
        hold: { name: `model:${job.model}`, detail, trialMs: policy.trialMs },
        log: 'error',
      };
    }
    case 'unauthorized': {
      const detail = `The upstream takes the key but refuses this model (status ${outcome.facts.status}). One job at a time is tried until one succeeds.`;
      return refused({ hold: `model:${job.model}`, detail });
    }
    case 'no_credits': {
      const said = outcome.detail === '' ? '' : ` (“${outcome.detail}”)`;
      const detail = `The upstream refuses to render for want of credits or because of a spend limit${said}. One job at a time is tried until one succeeds.`;
      if (!outcome.clear) return refused({ hold: 'credits', detail });
      return {
        end: { status: 'queued', counted: false, settlement: { kind: 'released' } },
        ending: { kind: 'deferred', reason: 'hold', afterMs: HOLD_WAIT_MS },
        hold: { name: 'credits', detail, trialMs: policy.trialMs },
        log: 'warn',
      };
    }
    case 'rate_limited': {
      const forMs = Math.min(RATE_WAIT.most, Math.max(RATE_WAIT.least, outcome.resetMs ?? RATE_WAIT.otherwise));
      return {
        end: { status: 'queued', counted: false, settlement: { kind: 'released' } },
        ending: { kind: 'deferred', reason: 'rate', afterMs: forMs },
        hold: {
          name: 'rate',
          detail: 'The upstream asked all callers to slow down (429). Work goes on by itself.',
          forMs,
        },
        log: 'warn',
      };
    }
  }

  function refused(refusal: Refusal): Judgement {
    const error: JobError = {
      code: 'upstream_rejected',
      detail: `The upstream refused this job ${tries} times, while it rendered others.`,
    };
    return tries < policy.attempts
      ? {
          end: { status: 'queued', counted: true, settlement: { kind: 'released' }, refusal },
          ending: {
            kind: 'deferred',
            reason: 'refused',
            afterMs: Math.max(1000, backoff(tries, policy.backoffMs, policy.random)),
          },
          log: 'warn',
        }
      : {
          end: { status: 'failed', counted: true, settlement: { kind: 'released' }, error, refusal },
          ending: { kind: 'failed', code: error.code },
          log: 'warn',
        };
  }
}

/** What follows when nobody can know whether a call was billed: see `UNCERTAIN_RETRIES`. */
export function unknownOutcome(
  job: Job,
  tries: number,
  how: keyof typeof DETAILS,
  settlement: Judgement['end']['settlement'],
  policy: RetryPolicy,
): Judgement {
  const more = {
    counted: true,
    uncertain: 'limited',
    incident: how !== 'shutdown' && how !== 'lost_worker',
    settlement,
  } as const;
  if (job.uncertainTries < policy.uncertainRetries && tries < policy.attempts) {
    return {
      end: { status: 'queued', ...more },
      ending: { kind: 'uncertain', afterMs: backoff(tries, policy.backoffMs, policy.random) },
      log: 'warn',
    };
  }
  const code = how === 'bad_image' ? 'bad_image' : 'outcome_uncertain';
  const error: JobError = {
    code,
    detail: `${DETAILS[how]} It may have been billed, so it is not called again; retry it by hand to do so.`,
  };
  return { end: { status: 'failed', ...more, error }, ending: { kind: 'failed', code }, log: 'warn' };
}

/**
 * Why a row is not called again that waits for its next call; undefined when it may be. Redis may have been emptied when
 * the row's last call had ended, or had just been judged: the row then waits with all that it had made.
 */
export function callsUsedUp(job: Job, policy: RetryPolicy): JobError | undefined {
  if (job.batch === undefined || job.uncertain === 0) return undefined;
  const none = policy.uncertainRetries === 0;
  if (!none && job.uncertainTries <= policy.uncertainRetries && job.tries < policy.attempts) return undefined;
  return {
    code: 'outcome_uncertain',
    detail: `Nobody knows how ${job.uncertain} of its calls ended. They may have been billed, so it is not called again; retry it by hand to do so.`,
  };
}
