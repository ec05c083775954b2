import { type BatchRecord, isBatchFinal } from '@renderyard/shared/batch/batch';
import {
  accountBatchKey,
  batchFolder,
  decisionsPrefix,
  imagesPrefix,
  manifestKey,
  openKey,
  recordKey,
} from '@renderyard/shared/batch/batch-layout';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { FoundBatch } from '@renderyard/shared/batch/found-batch';
import type { Store } from '@renderyard/shared/store/store';
import { ProblemError } from '../errors/problem-error.ts';

/** Objects deleted at once: what S3 takes in one request. */
const CHUNK = 1000;

/**
 * Deletes a batch that has ended. What makes it a batch goes nearly last, so that a deletion that broke off can be
 * repeated.
 * @param images whether its images go, too; they stay in the bucket otherwise.
 * @throws {ProblemError} `batch_not_ended`.
 */
export async function deleteBatch(
  { store, states }: { readonly store: Store; readonly states: BatchStates },
  { record, state }: FoundBatch,
  { images }: { readonly images: boolean },
): Promise<void> {
  const { id, account } = record;
  // Whoever retries it in this moment was quicker, or finds it gone.
  if (!isBatchFinal(state.status) || !(await states.forget(account, id)))
    throw new ProblemError('batch_not_ended', `The batch is ${state.status}; only one that has ended can be deleted.`);
  try {
    await deleteObjects(store, record, images);
  } catch (error) {
    await states.addToList(account, id).catch(() => undefined);
    throw error;
  }
}

async function deleteObjects(store: Store, { id, account }: BatchRecord, images: boolean): Promise<void> {
  const last = [manifestKey(id)];
  let keys: string[] = [];
  for await (const { key } of store.list(batchFolder(id))) {
    if (key.startsWith(decisionsPrefix(id))) last.push(key);
    if (key === recordKey(id) || last.includes(key) || (!images && key.startsWith(imagesPrefix(id)))) continue;
    keys.push(key);
    if (keys.length < CHUNK) continue;
    await store.delete(keys);
    keys = [];
  }
  await store.delete([...keys, openKey(id), accountBatchKey(account, id)]);
  // With it the batch is gone, before what tells of its end.
  await store.delete([recordKey(id)]);
  await store.delete(last);
}
