import type { Nanocredits } from '../credits/amount.ts';
import { type Origin, originFields } from '../origin.ts';
import type { Redis } from '../redis/connect.ts';
import type { Generation } from '../redis/generation.ts';
import { defineScript } from '../redis/script.ts';
import { type EventType, eventsField, JOB_EVENT_TYPES } from '../webhook/event-type.ts';
import type { Job, JobError, JobStatus } from './job.ts';
import type { JobEnd, JobTotals, RowEnd } from './job-end.ts';
import { readJob } from './read-job.ts';

/** What a new job is made of. */
export interface NewJob {
  readonly id: string;
  readonly account: string;
  readonly model: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly webhook?: string | undefined;
  /** All of a job's events if left out. */
  readonly webhookEvents?: readonly EventType[] | undefined;
  readonly createdAt: number;
  readonly expiresAt: number | undefined;
  readonly origin?: Origin | undefined;
}

/** Names a ticket in the queue: a job, and which of its tickets. */
export interface Ticket {
  readonly job: string;
  readonly generation: number;
}

/** What is known of a call whose worker is gone. */
export interface LostCall {
  readonly call: string;
  readonly estimate: Nanocredits;
}

export type Claim =
  | { readonly verdict: 'void' }
  | { readonly verdict: 'busy'; readonly ms: number }
  | { readonly verdict: 'yours'; readonly job: Job; readonly lost: LostCall | undefined; readonly now: number };

/** What became of a job when an end was recorded. */
export interface Recorded {
  readonly status: JobStatus | 'parked' | 'gone';
  /** The call was no longer the job's. */
  readonly late: boolean;
  /** What it came to, where this has ended it. */
  readonly ended: JobTotals | undefined;
}

const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  create: defineScript<Record<string, unknown>, { status: 'created' | 'exists' | 'full' }>(here('create-job.lua')),
  takeTickets: defineScript<Record<string, unknown>, { tickets?: [string, number][] }>(here('take-tickets.lua')),
  retakeTicket: defineScript<Record<string, unknown>, { ticket?: number }>(here('retake-ticket.lua')),
  unpark: defineScript<Record<string, unknown>, { moved: number }>(here('unpark.lua')),
  claim: defineScript<
    Record<string, unknown>,
    | { verdict: 'void' }
    | { verdict: 'busy'; ms: number }
    | { verdict: 'yours'; job: Record<string, string>; lost?: { estimate: number }; now: number }
  >(here('claim.lua')),
  record: defineScript<
    Record<string, unknown>,
    { status: JobStatus | 'parked' | 'gone'; late?: boolean; ended?: Record<string, string> }
  >(here('record.lua')),
  cancel: defineScript<
    Record<string, unknown>,
    { status: 'canceled' | 'canceling' | 'ended' | 'missing'; ticket?: number; ended?: Record<string, string> }
  >(here('cancel-job.lua')),
  retry: defineScript<Record<string, unknown>, { status: 'queued' | 'succeeded' | 'refused' | 'missing' | 'full' }>(
    here('retry-job.lua'),
  ),
  forget: defineScript<Record<string, unknown>, { status: 'forgotten' | 'open' | 'missing' }>(here('forget-job.lua')),
  sweep: defineScript<Record<string, unknown>, { expired?: string[]; forgotten: number }>(here('sweep.lua')),
};

/** Tickets made by one call of {@link JobStore.takeTickets}. */
const MOST_TICKETS = 200;
/** Jobs ended or forgotten by one call of {@link JobStore.sweep}. */
const MOST_SWEPT = 500;

export type JobStore = ReturnType<typeof createJobStore>;

/** Single jobs in Redis: their state, their lists, and which of them have a ticket. */
export function createJobStore({
  redis,
  prefix,
  generation,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Generation;
}) {
  const known = () => ({ generation: generation.current });
  return {
    /** Accepts a job. The same id again is answered with `exists`; `full` when `mostWaiting` already wait. */
    async create(job: NewJob, mostWaiting: number): Promise<'created' | 'exists' | 'full'> {
      const fields = {
        id: job.id,
        account: job.account,
        status: 'queued',
        model: job.model,
        input: JSON.stringify(job.input),
        metadata: JSON.stringify(job.metadata),
        attempts: '0',
        tries: '0',
        uncertain: '0',
        uncertain_tries: '0',
        cost: '0',
        call: '',
        ticket: '0',
        created_at: String(job.createdAt),
        ...(job.expiresAt === undefined ? {} : { expires_at: String(job.expiresAt) }),
        ...(job.webhook === undefined
          ? {}
          : { webhook: job.webhook, webhook_events: eventsField(job.webhookEvents ?? JOB_EVENT_TYPES) }),
        ...originFields(job.origin),
      };
      const { status } = await scripts.create(redis, prefix, {
        ...known(),
        id: job.id,
        account: job.account,
        fields: Object.entries(fields).flat(),
        expires_at: job.expiresAt,
        most_waiting: mostWaiting,
      });
      return status;
    },

    async get(id: string): Promise<Job | undefined> {
      return readJob(await redis.hgetall(`${prefix}job:${id}`));
    },

    /** An account's jobs, the newest first; `after` is the id of the last one already seen. */
    async list(
      account: string,
      options: { readonly status?: JobStatus | undefined; readonly after?: string | undefined; readonly limit: number },
    ): Promise<readonly Job[]> {
      const key = `${prefix}jobs:${account}${options.status === undefined ? '' : `:${options.status}`}`;
      const found: Job[] = [];
      for (let after = options.after; found.length < options.limit; ) {
        const from = after === undefined ? '+' : `(${after}`;
        const ids = await redis.zrange(key, from, '-', 'BYLEX', 'REV', 'LIMIT', 0, options.limit - found.length);
        // A job that was just forgotten is skipped, and the page filled with the next ones.
        const jobs = await Promise.all(ids.map((id) => redis.hgetall(`${prefix}job:${id}`)));
        found.push(...jobs.map(readJob).filter((job) => job !== undefined));
        after = ids.at(-1);
        if (after === undefined) break;
      }
      return found;
    },

    /** Takes waiting jobs, oldest first, until `window` tickets stand in the queue. Whoever takes them queues them. */
    async takeTickets(window: number): Promise<readonly Ticket[]> {
      const { tickets } = await scripts.takeTickets(redis, prefix, { ...known(), window, most: MOST_TICKETS });
      return (tickets ?? []).map(([job, ticket]) => ({ job, generation: ticket }));
    },

    /** Jobs that were fed before a time (milliseconds since 1970) and have not ended, with their tickets. */
    async fedBefore(time: number): Promise<readonly (Ticket & { readonly fedAt: number })[]> {
      const flat = (await redis.zrangebyscore(`${prefix}fed`, '-inf', time, 'WITHSCORES')).map(String);
      const fed: (Ticket & { fedAt: number })[] = [];
      for (let i = 0; i + 1 < flat.length; i += 2) {
        const job = flat[i] ?? '';
        const generationOfTicket = await redis.hget(`${prefix}job:${job}`, 'ticket');
        fed.push({ job, generation: Number(generationOfTicket ?? 0), fedAt: Number(flat[i + 1]) });
      }
      return fed;
    },

    /** A new ticket for a fed job that has none in the queue; undefined when another process was quicker. */
    async retakeTicket(job: string, fedAt: number): Promise<Ticket | undefined> {
      const { ticket } = await scripts.retakeTicket(redis, prefix, { ...known(), id: job, fed_at: fedAt });
      return ticket === undefined ? undefined : { job, generation: ticket };
    },

    /** Lets parked jobs of models that are no longer held wait again. Returns how many. */
    async unpark(): Promise<number> {
      return (await scripts.unpark(redis, prefix, known())).moved;
    },

    /** What a ticket asks for; see claim.lua. */
    async claim(ticket: Ticket, trialMs: number): Promise<Claim> {
      const claim = await scripts.claim(redis, prefix, {
        ...known(),
        id: ticket.job,
        ticket: ticket.generation,
        trial_ms: trialMs,
      });
      if (claim.verdict !== 'yours') return claim;
      const job = readJob(claim.job);
      if (job === undefined) return { verdict: 'void' };
      return {
        verdict: 'yours',
        job,
        lost: claim.lost && { call: job.call, estimate: claim.lost.estimate },
        now: claim.now,
      };
    },

    /**
     * Ends a call and this run of its job, once. `late`: the call was no longer the job's; its credits were counted,
     * its result was not taken.
     */
    async record(end: JobEnd, trialMs: number): Promise<Recorded> {
      const { status, late, ended } = await scripts.record(redis, prefix, {
        ...known(),
        id: end.job,
        trial_ms: trialMs,
        row: end.row && { part: end.row.part, previous: end.row.previous && snake(end.row.previous) },
        adopt: end.adopt && {
          job: end.job,
          worker: end.adopt.worker,
          account: end.adopt.account,
          model: end.adopt.model,
          class: end.adopt.costClass,
          estimate: end.adopt.estimate,
          guess: end.adopt.estimate,
          started_at: end.adopt.startedAt,
          resolve_after: end.adopt.resolveAfter,
          attempts: end.adopt.attempts,
        },
        call: end.call?.id,
        settlement: end.call?.settlement,
        reading: end.call?.reading && {
          value: end.call.reading.value,
          seq: end.call.reading.seq,
          started_at: end.call.reading.startedAt,
        },
        counted: end.counted ?? true,
        incident: end.incident ?? false,
        status: end.status,
        parked_for: end.parkedFor?.startsWith('key:') ? end.parkedFor : undefined,
        uncertain: end.uncertain === undefined ? undefined : end.uncertain === 'limited' ? 2 : 1,
        output: end.output && JSON.stringify(end.output),
        error: end.error && JSON.stringify(end.error),
        retry_at: end.retryAt,
        refusal: end.refusal,
      });
      return { status, late: late ?? false, ended: ended && totals(ended, end.row?.previous) };
    },

    /**
     * Cancels at once, or at the end of the call in flight (`canceling`). `ticket` is the one to take from the queue,
     * `ended` what the job came to, where this has ended it.
     */
    async cancel(id: string): Promise<{
      readonly status: 'canceled' | 'canceling' | 'ended' | 'missing';
      readonly ticket: Ticket | undefined;
      readonly ended: JobTotals | undefined;
    }> {
      const { status, ticket, ended } = await scripts.cancel(redis, prefix, { ...known(), id });
      return {
        status,
        ticket: ticket === undefined ? undefined : { job: id, generation: ticket },
        ended: ended && totals(ended, undefined),
      };
    },

    /** Lets a failed, canceled or expired job run again. `succeeded`: its image was already paid for and is kept. */
    async retry(id: string, mostWaiting: number): Promise<'queued' | 'succeeded' | 'refused' | 'missing' | 'full'> {
      return (await scripts.retry(redis, prefix, { ...known(), id, most_waiting: mostWaiting })).status;
    },

    /** Forgets a job that has ended; `open` when it has not. */
    async forget(id: string): Promise<'forgotten' | 'open' | 'missing'> {
      return (await scripts.forget(redis, prefix, { ...known(), id })).status;
    },

    /** Ends jobs whose time is over, and says which; forgets those that ended before `forgetBefore` (milliseconds since 1970). */
    async sweep(forgetBefore: number): Promise<{ readonly expired: readonly string[]; readonly forgotten: number }> {
      const expiredError: JobError = {
        code: 'expired',
        detail: 'The job was not rendered before the end of its expires_in.',
      };
      const { expired, forgotten } = await scripts.sweep(redis, prefix, {
        ...known(),
        forget_before: forgetBefore,
        most: MOST_SWEPT,
        expired_error: JSON.stringify(expiredError),
      });
      return { expired: expired ?? [], forgotten };
    },
  };
}

/** What a job came to, from what the script tells of it; of a row also what its earlier runs made. */
function totals(told: Readonly<Record<string, string>>, previous: RowEnd['previous']): JobTotals {
  return {
    attempts: Number(told.attempts) + (previous?.attempts ?? 0),
    uncertain: Number(told.uncertain) + (previous?.uncertain ?? 0),
    cost: Number(told.cost) + (previous?.cost ?? 0),
    createdAt: Number(told.created_at),
    startedAt: previous?.startedAt ?? (told.started_at === undefined ? undefined : Number(told.started_at)),
    endedAt: Number(told.at),
  };
}

function snake({ startedAt, ...rest }: NonNullable<RowEnd['previous']>) {
  return { ...rest, started_at: startedAt ?? undefined };
}
