import type { BatchDecision, BatchRecord } from '@renderyard/shared/batch/batch';
import { type BatchFiles, JSON_TYPE } from '@renderyard/shared/batch/batch-files';
import {
  accountBatchKey,
  batchFolder,
  manifestKey,
  openKey,
  recordKey,
  rejectedKey,
  rowsKey,
} from '@renderyard/shared/batch/batch-layout';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { Store } from '@renderyard/shared/store/store';

const NOTHING = Buffer.alloc(0);

/**
 * Makes a batch of parts that lie in the store. All that must be found beside the record is written before it: with the
 * record the batch exists, and whoever finds it can go on.
 * @returns `exists` where another upload has made the batch already.
 */
export async function commitBatch(
  { store, files }: { readonly store: Store; readonly files: BatchFiles },
  record: BatchRecord,
  decision: BatchDecision,
): Promise<'stored' | 'exists'> {
  const { id, account } = record;
  await store.put(accountBatchKey(account, id), NOTHING, { contentType: JSON_TYPE });
  await store.put(openKey(id), NOTHING, { contentType: JSON_TYPE });
  await files.writeDecision(id, decision);
  return files.createJson(recordKey(id), record);
}

/** Has a batch that was committed run, unless it does or has ended. Harmless when repeated. */
export async function openBatch(
  { states, files }: { readonly states: BatchStates; readonly files: BatchFiles },
  record: BatchRecord,
): Promise<void> {
  const { id } = record;
  if ((await states.get(id)) !== undefined) return;
  // One that has ended would run once more from its begin.
  if ((await files.readJson(manifestKey(id))) !== undefined) return;
  const decision = await files.readDecision(id);
  if (decision === undefined) throw new Error(`The store has lost the decisions about ${id}.`);
  await states.open(record, decision);
}

/** Deletes the parts of an upload of which nothing was made. */
export async function deleteParts(
  store: Store,
  {
    batch,
    upload,
    parts,
    rejectedParts,
  }: {
    readonly batch: string;
    readonly upload: string;
    /** How many there are of each. */
    readonly parts: number;
    readonly rejectedParts: number;
  },
): Promise<void> {
  const keys = [
    ...Array.from({ length: parts }, (_, part) => rowsKey(batch, upload, part)),
    ...Array.from({ length: rejectedParts }, (_, part) => rejectedKey(batch, upload, part)),
  ];
  if (keys.length > 0) await store.delete(keys);
}

/** Deletes what earlier uploads of a batch left, which broke off: the one that made it is the only one that counts. */
export async function deleteOtherParts(store: Store, record: BatchRecord): Promise<void> {
  for (const folder of ['rows/', 'rejected/']) {
    const others: string[] = [];
    for await (const { key } of store.list(`${batchFolder(record.id)}${folder}`))
      if (!key.endsWith(`-${record.upload}.ndjson`)) others.push(key);
    if (others.length > 0) await store.delete(others);
  }
}
