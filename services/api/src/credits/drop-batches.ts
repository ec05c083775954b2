import type { BatchStatus } from '@renderyard/shared/batch/batch';
import { openPrefix } from '@renderyard/shared/batch/batch-layout';
import { inParallel } from '@renderyard/shared/recovery/in-parallel';
import { cancel } from '../batches/batch-changes.ts';
import { type DecideDeps, decideBatch } from '../batches/decide-batch.ts';
import { ProblemError } from '../errors/problem-error.ts';

export type DropBatchesDeps = DecideDeps;

/** Batches canceled at once. */
const AT_ONCE = 4;
/** What of a batch's end is not to be dropped: it comes by itself. */
const ENDING: ReadonlySet<BatchStatus> = new Set(['canceling', 'finishing', 'completed', 'canceled']);

/**
 * Cancels every batch of an account that has not ended. Doing it again after it broke off cancels the rest.
 * @returns how many were canceled.
 */
export async function dropBatches(deps: DropBatchesDeps, account: string): Promise<number> {
  let canceled = 0;
  const open: string[] = [];
  for await (const { key } of deps.store.list(openPrefix)) open.push(key.slice(openPrefix.length));
  await inParallel(open, AT_ONCE, async (id) => {
    const found = await deps.finder.read(id);
    if (found?.record.account !== account || ENDING.has(found.state.status)) return;
    try {
      await decideBatch(deps, { id, account, action: 'cancel' }, cancel(true));
      canceled++;
    } catch (error) {
      // It ended, or was deleted, meanwhile.
      if (!(error instanceof ProblemError) || (error.code !== 'batch_ended' && error.code !== 'not_found')) throw error;
    }
  });
  return canceled;
}
