import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import { parseRowJobId } from '@renderyard/shared/batch/row';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { Access, Caller } from '../access/access.ts';
import { createSight } from '../access/sight.ts';
import type { CreditsView } from './credits-schema.ts';
import { viewCredits } from './credits-view.ts';
import { limitsInForce } from './limits-in-force.ts';
import { firstHour, HOUR_MS } from './spending.ts';
import { latestCalls } from './uncertain-view.ts';

export interface OwnerDeps {
  readonly jobs: JobStore;
  readonly states: Pick<BatchStates, 'get'>;
  readonly files: Pick<BatchFiles, 'readRecord'>;
}

export interface CreditsReading extends OwnerDeps {
  readonly ledger: Ledger;
  readonly config: Config;
  readonly clock: Clock;
  readonly access: Pick<Access, 'accounts'>;
}

/**
 * The books, with the ids of only those jobs that the caller's account made, and without what others spend where that is not
 * the caller's to know. Where there is one account it may know of all.
 */
export async function readCredits(deps: CreditsReading, caller: Caller): Promise<CreditsView> {
  const { ledger, config, clock, access } = deps;
  const { account } = caller;
  const now = clock.now();
  const [sight, state, entries] = await Promise.all([
    createSight(access, caller),
    ledger.snapshot(now),
    ledger.books({ fromHour: firstHour(now), toHour: Math.floor(now / HOUR_MS) + 1 }),
  ]);
  const own = new Set<string>();
  if (!sight.alone) {
    const ownerOf = createOwnerFinder(deps);
    const accounts = new Map(latestCalls(state).map((call) => [call.job, call.account]));
    const ids = [...accounts.keys()];
    const owners = await Promise.all(ids.map(async (id) => accounts.get(id) ?? ownerOf(id)));
    for (const [index, id] of ids.entries()) if (owners[index] === account) own.add(id);
  }
  const limits = limitsInForce(state, config);
  return viewCredits(
    { state, limits, entries, keys: sight.accounts, now },
    { showJob: (job) => sight.alone || own.has(job), showKey: sight.seesSpending },
  );
}

/** Tells whose a job is; undefined where that cannot be found out. That of a row is its batch's: it outlives the row. */
function createOwnerFinder({ jobs, states, files }: OwnerDeps): (job: string) => Promise<string | undefined> {
  const batches = new Map<string, Promise<string | undefined>>();
  const ownerOfBatch = async (id: string) => {
    const state = await states.get(id);
    // The books are told also while the store is away.
    return state?.account ?? (await files.readRecord(id).catch(() => undefined))?.account;
  };
  return async (job) => {
    const row = parseRowJobId(job);
    if (row === undefined) return (await jobs.get(job))?.account;
    const owner = batches.get(row.batch) ?? ownerOfBatch(row.batch);
    batches.set(row.batch, owner);
    return owner;
  };
}
