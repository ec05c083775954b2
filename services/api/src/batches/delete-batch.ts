import { isBatchFinal } from '@renderyard/shared/batch/batch';
import {
  accountBatchKey,
  batchFolder,
  imagesPrefix,
  manifestKey,
  openKey,
  recordKey,
} from '@renderyard/shared/batch/batch-layout';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { Store } from '@renderyard/shared/store/store';
import { ProblemError } from '../errors/problem-error.ts';
import type { FoundBatch } from './stored-batch.ts';

/** Objects deleted at once: what S3 takes in one request. */
const CHUNK = 1000;

/**
 * Deletes a batch that has ended. What makes it a batch goes last, so that a deletion that broke off can be repeated.
 * @param images whether its images go, too; they stay in the bucket otherwise.
 * @throws {ProblemError} `batch_not_ended`.
 */
export async function deleteBatch(
  { store, states }: { readonly store: Store; readonly states: BatchStates },
  { record, state }: FoundBatch,
  { images }: { readonly images: boolean },
): Promise<void> {
  const { id, account } = record;
  if (!isBatchFinal(state.status))
    throw new ProblemError('batch_not_ended', `The batch is ${state.status}; only one that has ended can be deleted.`);
  const last = [recordKey(id), manifestKey(id)];
  let keys: string[] = [];
  for await (const { key } of store.list(batchFolder(id))) {
    if (last.includes(key) || (!images && key.startsWith(imagesPrefix(id)))) continue;
    keys.push(key);
    if (keys.length < CHUNK) continue;
    await store.delete(keys);
    keys = [];
  }
  await store.delete([...keys, openKey(id)]);
  await states.forget(account, id);
  await store.delete([accountBatchKey(account, id)]);
  await store.delete(last);
}
