import { randomBytes } from 'node:crypto';
import { createBatchStates } from '@renderyard/shared/batch/batch-states';
import type { CallLimits, Grant, Verdict } from '@renderyard/shared/credits/admission';
import { createLedger } from '@renderyard/shared/credits/ledger';
import { newId } from '@renderyard/shared/ids';
import type { JobEnd } from '@renderyard/shared/job/job-end';
import { createJobStore, type NewJob } from '@renderyard/shared/job/job-store';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { keyPrefix, queuePrefix } from '@renderyard/shared/redis/keys';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { allKeys } from './keys.ts';
import { letTimePass } from './time.ts';

/** Nanocredits that one call costs, where a test does not say otherwise. */
export const COST = 20_000_000;
export const MODEL = 'model-a';
/** Those of which a call was billed at what was guessed. */
const KNOWN_MODELS = [MODEL, 'model-b', 'm', 'other'];
/** Milliseconds between two trials of a hold. */
export const TRIAL_MS = 60_000;
/** Wide enough to decide nothing: what a test is about, it narrows. */
export const LIMITS: CallLimits = {
  floor: 0,
  slots: 1000,
  perMinute: 1_000_000,
  timeoutMs: 180_000,
  trialMs: TRIAL_MS,
};

/** What a call can be asked with, beside its job. */
export interface Asking extends Partial<CallLimits> {
  readonly call?: string;
  readonly worker?: string;
  readonly model?: string;
  readonly costClass?: string;
  readonly estimate?: number;
}

export type Bench = Awaited<ReturnType<typeof openBench>>;

/**
 * A ledger, jobs and batches under a prefix of their own in the Redis of the test run. Use it with `await using`: its
 * keys and its connections go with it.
 */
export async function openBench(options: { readonly unknownModels?: boolean } = {}) {
  const name = `test-${randomBytes(6).toString('hex')}`;
  const prefix = keyPrefix(name);
  const redis = new Redis(inject('redisUrl'));
  const generation = createGeneration(redis, prefix);
  await generation.join();
  const ledger = createLedger({ redis, prefix, generation });
  const jobs = createJobStore({ redis, prefix, generation });
  const states = createBatchStates({ redis, prefix, generation });

  // A call of a model that nobody knows may have to go alone; what a test is about is seldom that.
  for (const model of options.unknownModels ? [] : KNOWN_MODELS) await redis.hset(`${prefix}ratios`, model, 1_000_000);

  const connections: Redis[] = [redis];

  /** Another process: the same keys over a connection of its own. */
  const connect = async () => {
    const other = new Redis(inject('redisUrl'));
    connections.push(other);
    const joined = createGeneration(other, prefix);
    await joined.join();
    return {
      redis: other,
      ledger: createLedger({ redis: other, prefix, generation: joined }),
      jobs: createJobStore({ redis: other, prefix, generation: joined }),
      states: createBatchStates({ redis: other, prefix, generation: joined }),
    };
  };

  const ask = (job: string, { call, worker, model, costClass, estimate, ...limits }: Asking = {}): Promise<Verdict> =>
    ledger.admit(
      {
        job,
        call: call ?? newId('call'),
        worker: worker ?? 'worker-1',
        model: model ?? MODEL,
        costClass: costClass ?? 'class-a',
        estimate: estimate ?? COST,
      },
      { ...LIMITS, ...limits },
    );

  const bench = {
    name,
    prefix,
    redis,
    generation,
    ledger,
    jobs,
    states,
    connect,
    ask,
    /** Accepts a job. */
    async job(over: Partial<NewJob> = {}): Promise<string> {
      const id = newId('job');
      await jobs.create(
        { id, account: 'acme', model: MODEL, input: {}, metadata: {}, createdAt: 1, expiresAt: undefined, ...over },
        1_000_000,
      );
      return id;
    },
    /** Accepts a job and makes a call for it. @throws when the call is not granted. */
    async call(asking: Asking & { readonly job?: string } = {}): Promise<{ id: string; job: string; grant: Grant }> {
      const { job = await bench.job(asking.model === undefined ? {} : { model: asking.model }), ...rest } = asking;
      const id = asking.call ?? newId('call');
      const grant = await ask(job, { ...rest, call: id });
      if (grant.verdict !== 'go') throw new Error(`a call was not granted: ${JSON.stringify(grant)}`);
      return { id, job, grant };
    },
    /** Ends a call; what is not said is as for an image. */
    end(
      { id, job }: { readonly id: string; readonly job: string },
      end: Partial<Omit<JobEnd, 'job' | 'call'>> & Partial<NonNullable<JobEnd['call']>> = {},
    ) {
      const { settlement = { kind: 'spent', cost: COST }, reading, ...rest } = end;
      return jobs.record({ status: 'succeeded', ...rest, job, call: { id, settlement, reading } }, TRIAL_MS);
    },
    /** Lets this Redis believe that the account holds so much. */
    async balance(value: number | undefined, thresholds: { floor?: number; resume?: number } = {}) {
      const { floor = 0, resume = 0 } = thresholds;
      return ledger.takeReading(value, await ledger.beginReading(), { floor, resume, estimate: COST });
    },
    books: () => ledger.snapshot(Date.now()),
    /** Moves everything this bench has written into the past, as if so many milliseconds had passed. */
    pass: (ms: number) => letTimePass(redis, prefix, ms),
    async [Symbol.asyncDispose]() {
      const keys = await allKeys(redis, queuePrefix(name));
      if (keys.length > 0) await redis.del(...keys);
      await Promise.all(connections.map((connection) => connection.quit()));
    },
  };
  return bench;
}
