import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { FoundBatch } from '@renderyard/shared/batch/found-batch';
import { readStoredBatch } from '@renderyard/shared/batch/stored-batch';
import { isId } from '@renderyard/shared/ids';
import { ProblemError } from '../errors/problem-error.ts';

export type BatchFinder = ReturnType<typeof createBatchFinder>;

/** Finds batches: as they run in Redis, else as they lie in the store. */
export function createBatchFinder({ states, files }: { readonly states: BatchStates; readonly files: BatchFiles }) {
  const finder = {
    /** @returns undefined where there is no such batch. */
    async read(id: string): Promise<FoundBatch | undefined> {
      const state = await states.get(id);
      const record = state === undefined ? undefined : await files.readRecord(id);
      return state === undefined || record === undefined ? readStoredBatch(files, id) : { state, record };
    },

    /** @throws {ProblemError} `not_found`, also for a batch of another account: whether it exists is not told. */
    async find(id: string, account: string): Promise<FoundBatch> {
      const found = isId('bat', id) ? await finder.read(id) : undefined;
      if (found === undefined || found.record.account !== account)
        throw new ProblemError('not_found', 'There is no such batch.');
      return found;
    },
  };
  return finder;
}
