import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import { parseRowJobId } from '@renderyard/shared/batch/row';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { JobStore } from '@renderyard/shared/job/job-store';
import { type CreditsView, MOST_CALLS, viewCredits } from './credits-view.ts';

export interface OwnerDeps {
  readonly jobs: JobStore;
  readonly states: Pick<BatchStates, 'get'>;
  readonly files: Pick<BatchFiles, 'readRecord'>;
}

/** The books, with the ids of only those jobs that the account made. Where there is one account it may know of all. */
export async function readCredits(
  deps: OwnerDeps & { readonly ledger: Ledger; readonly config: Config; readonly clock: Clock },
  account: string,
): Promise<CreditsView> {
  const { ledger, config, clock } = deps;
  const state = await ledger.snapshot(clock.now());
  const own = new Set<string>();
  const alone = config.RENDERYARD_API_KEYS.length <= 1;
  if (!alone) {
    const latest = [...state.uncertainCalls].sort((a, b) => b.at - a.at).slice(0, MOST_CALLS);
    const ownerOf = createOwnerFinder(deps);
    const ids = [...new Set(latest.map((call) => call.job))];
    const owners = await Promise.all(ids.map(ownerOf));
    for (const [index, id] of ids.entries()) if (owners[index] === account) own.add(id);
  }
  const limits = { floor: config.CREDIT_FLOOR, low: config.CREDIT_LOW, resume: config.CREDIT_RESUME };
  return viewCredits(state, limits, (job) => alone || own.has(job));
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
