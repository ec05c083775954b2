import { createLedger } from '@renderyard/shared/credits/ledger';
import type { JobEnd } from '@renderyard/shared/job/job-end';
import { createJobStore } from '@renderyard/shared/job/job-store';
import { createLogger } from '@renderyard/shared/logger';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { keyPrefix } from '@renderyard/shared/redis/keys';

/** How often a stand-in looks after what the dead have left, as a worker's upkeep does, in milliseconds. */
export const REAP_MS = 1000;
/** How often a hold is tried, in milliseconds. */
export const TRIAL_MS = 200;
export const MODEL = 'model-a';

/** A call that may be made, under an id that is known before, with what it will cost in nanocredits. */
export interface PlannedCall {
  readonly job: string;
  readonly call: string;
  readonly cost: number;
}

/** The ledger and the jobs as a worker has them, over a connection of its own. */
export async function connectLedger({ url, name }: { readonly url: string; readonly name: string }) {
  const logger = createLogger({ service: 'stand-in', level: 'warn' });
  const prefix = keyPrefix(name);
  const redis = connectRedis(url, 'worker', logger);
  const generation = createGeneration(redis, prefix);
  await generation.join();
  const ledger = createLedger({ redis, prefix, generation });
  const jobs = createJobStore({ redis, prefix, generation });
  return {
    redis,
    prefix,
    logger,
    ledger,
    jobs,
    /** Asks until the call is granted. @throws when the job is gone. */
    async grant(worker: string, { job, call }: PlannedCall, slots: number) {
      for (;;) {
        const request = {
          job,
          call,
          worker,
          model: MODEL,
          costClass: worker.replace(/\d+$/, ''),
          estimate: 20_000_000,
        };
        const limits = { floor: 0, slots, perMinute: 1_000_000, timeoutMs: 180_000, trialMs: TRIAL_MS };
        const verdict = await ledger.admit(request, limits);
        if (verdict.verdict === 'go') return verdict;
        if (verdict.verdict === 'gone' || verdict.verdict === 'probe')
          throw new Error(`the call was not granted: ${JSON.stringify(verdict)}`);
        await new Promise((resolve) => setTimeout(resolve, Math.min(verdict.ms ?? 100, 100)));
      }
    },
    record: (end: JobEnd) => jobs.record(end, TRIAL_MS),
  };
}

/** The balance that answers tell: more than there is, which raises nothing, and is no reason to ask for it. */
const TOLD = { value: 900_000e9, seq: -1, startedAt: 0 };

/** The end of a call that gave an image. */
export function rendered({ job, call, cost }: PlannedCall): JobEnd {
  return { job, status: 'succeeded', call: { id: call, settlement: { kind: 'spent', cost }, reading: TOLD } };
}

/** Tells the test something: a line of the log that is there also when the process dies right after. */
export function tell(what: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
