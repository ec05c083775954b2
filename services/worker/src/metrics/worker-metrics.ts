import { type Nanocredits, toCredits } from '@renderyard/shared/credits/amount';
import { type FinalStatus, isFinal, JOB_STATUSES } from '@renderyard/shared/job/job';
import type { Labels, LabelValues } from '@renderyard/shared/metrics/labels';
import type { Family, Metrics } from '@renderyard/shared/metrics/metrics';
import { MODELS } from '@renderyard/shared/model/model';
import { ATTEMPT_ERRORS, type AttemptRecord } from '@renderyard/shared/webhook/delivery';
import type { Outcome } from '../segmind/outcome.ts';

/** A call takes from a quarter of a second (a refusal) to `SEGMIND_TIMEOUT_MS`, 180 s unless it is set. */
const CALL_SECONDS = [0.25, 0.5, 1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180];
/** From a free slot to a night in the queue. */
const WAIT_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 43_200];
/** Up to the most of `WEBHOOK_TIMEOUT_MS`. */
const ATTEMPT_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120];
/** From at once to the end of the default `WEBHOOK_SCHEDULE_S`. */
const DELAY_SECONDS = [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 21_600, 86_400, 259_200];

const OUTCOMES: Readonly<Record<Outcome['kind'], true>> = {
  image: true,
  too_large: true,
  rejected: true,
  unavailable: true,
  unreached: true,
  unknown: true,
  unauthorized: true,
  no_such_model: true,
  no_credits: true,
  rate_limited: true,
};

/** How an attempt to deliver ended: an answer, or why none came. */
export type AttemptOutcome = 'delivered' | 'refused' | 'gone' | NonNullable<AttemptRecord['error']>;
const ATTEMPT_OUTCOMES: readonly AttemptOutcome[] = ['delivered', 'refused', 'gone', ...ATTEMPT_ERRORS];

/** What a worker counts of its own work. None of it throws or waits; labels that are not known become `other`. */
export interface WorkerMetrics {
  /** A call had this outcome, after so many seconds. */
  callEnded(call: { readonly model: string; readonly outcome: string; readonly seconds: number }): void;
  /** A call was settled as spent: at its cost if the answer told one, else at its estimate. */
  creditsSpent(cost: Nanocredits): void;
  /** A call was settled as one whose outcome nobody knows. */
  callUncertain(): void;
  /** A single job got its first call, so many seconds after it was accepted. */
  jobBegan(job: { readonly waitSeconds: number }): void;
  /** A job was ended by this worker; other states of a job are left out. */
  jobEnded(job: { readonly status: string }): void;
  /** `delaySeconds`: of one that arrived, since what it tells of happened. */
  attemptEnded(attempt: { readonly outcome: string; readonly seconds: number; readonly delaySeconds?: number }): void;
}

/** @param tickets how many tickets the worker works on. */
export function createWorkerMetrics(metrics: Metrics, { tickets }: { readonly tickets: () => number }): WorkerMetrics {
  const calls = createTries(metrics, {
    ended: {
      name: 'renderyard_calls_total',
      help: 'Calls to Segmind that ended, by model and outcome; `image` is the only one that gave an image.',
    },
    took: {
      name: 'renderyard_call_duration_seconds',
      help: 'How long a call took, to the last byte of its answer.',
    },
    labels: { model: new Set(MODELS.map(({ slug }) => slug)), outcome: new Set(Object.keys(OUTCOMES)) },
    buckets: CALL_SECONDS,
  });
  const cost = metrics.counter({
    name: 'renderyard_credits_cost_total',
    help: 'Credits of the calls of this worker that were billed; at the estimate where no answer told the cost.',
    labels: {},
  });
  const uncertain = metrics.counter({
    name: 'renderyard_uncertain_calls_total',
    help: 'Calls whose outcome nobody knows, counted as spent: of this worker, and of lost workers whose jobs it took over.',
    labels: {},
  });
  const waits = metrics.histogram({
    name: 'renderyard_job_wait_seconds',
    help: 'From the acceptance of a single job to its first call.',
    labels: {},
    buckets: WAIT_SECONDS,
  });
  const ended = metrics.counter({
    name: 'renderyard_jobs_ended_total',
    help: 'Jobs, and rows of batches, that this worker ended.',
    labels: { status: new Set<FinalStatus>(JOB_STATUSES.filter(isFinal)) },
  });
  const attempts = createTries(metrics, {
    ended: { name: 'renderyard_webhook_attempts_total', help: 'Attempts to deliver a webhook, by outcome.' },
    took: {
      name: 'renderyard_webhook_attempt_duration_seconds',
      help: 'How long an attempt to deliver a webhook took.',
    },
    labels: { outcome: new Set(ATTEMPT_OUTCOMES) },
    buckets: ATTEMPT_SECONDS,
  });
  const delays = metrics.histogram({
    name: 'renderyard_webhook_delay_seconds',
    help: 'From an event to its delivery; without those sent again by hand.',
    labels: {},
    buckets: DELAY_SECONDS,
  });
  const working = metrics.gauge({
    name: 'renderyard_worker_tickets',
    help: 'Tickets that this worker works on now.',
    labels: {},
  });
  metrics.beforeReading(() => working.set({}, tickets()));

  return {
    callEnded: ({ model, outcome, seconds }) => calls.ended({ model, outcome }, seconds),
    creditsSpent: (amount) => cost.add({}, toCredits(amount)),
    callUncertain: () => uncertain.add({}),
    jobBegan: ({ waitSeconds }) => waits.observe({}, waitSeconds),
    jobEnded({ status }) {
      if (status !== 'queued' && status !== 'processing' && status !== 'parked' && status !== 'gone')
        ended.add({ status });
    },
    attemptEnded({ outcome, seconds, delaySeconds }) {
      attempts.ended({ outcome }, seconds);
      if (delaySeconds !== undefined) delays.observe({}, delaySeconds);
    },
  };
}

type Told = Pick<Family<never>, 'name' | 'help'>;

/** What is tried and ends one way or another: how many did, and how long each took, by the same labels. */
function createTries<L extends string>(
  metrics: Metrics,
  family: {
    readonly ended: Told;
    readonly took: Told;
    readonly labels: LabelValues<L>;
    /** Seconds. */
    readonly buckets: readonly number[];
  },
) {
  const { labels, buckets } = family;
  const count = metrics.counter({ ...family.ended, labels });
  const duration = metrics.histogram({ ...family.took, labels, buckets });
  return {
    ended(one: Labels<L>, seconds: number) {
      count.add(one);
      duration.observe(one, seconds);
    },
  };
}
