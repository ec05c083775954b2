import type { Store } from '@renderyard/shared/store/store';
import { logAudit } from '../audit-log.ts';
import { asDecided } from '../errors/decided-problem.ts';
import { type Dropped, droppedChange, isSome, resume } from './credit-changes.ts';
import { type DecideCreditsDeps, decideCredits } from './decide-credits.ts';
import { type DropBatchesDeps, dropBatches } from './drop-batches.ts';
import { type DropJobsDeps, dropJobs } from './drop-jobs.ts';

export type ResumeDeps = DecideCreditsDeps & DropJobsDeps & DropBatchesDeps & { readonly store: Store };

/**
 * Ends the operator's hold, and has the causes of the other holds looked at at once. With `drop` the account's queued
 * jobs, and its batches that have not ended, are canceled before.
 * @returns what was dropped. Doing it again after it broke off drops the rest.
 * @throws {StoreError} when the store cannot be used: the hold stands then.
 */
export async function resumeWork(deps: ResumeDeps, account: string, backlog: 'run' | 'drop'): Promise<Dropped> {
  let dropped: Dropped | undefined;
  if (backlog === 'drop') {
    // So that nothing is dropped where the rest cannot be done.
    await deps.store.check();
    // Before the hold ends, so that none of them starts.
    dropped = { batches: await dropBatches(deps, account), jobs: await dropJobs(deps, account) };
  }
  try {
    await decideCredits(deps, account, resume(dropped));
  } catch (error) {
    if (dropped !== undefined && isSome(dropped))
      logAudit(deps.logger, { by: account, action: 'resume', changes: [droppedChange(dropped)] });
    throw error;
  }
  try {
    await deps.ledger.resume();
    await deps.feedQueue();
  } catch (error) {
    throw asDecided(error);
  }
  return dropped ?? { jobs: 0, batches: 0 };
}
