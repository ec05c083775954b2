import {
  accountBatchKey,
  accountsPrefix,
  batchFolder,
  openKey,
  parseAccountBatchKey,
  uploadKey,
  uploadsPrefix,
} from '@renderyard/shared/batch/batch-layout';
import { PROBE_KEY } from '@renderyard/shared/store/object-key';
import type { Store } from '@renderyard/shared/store/store';
import { ensureOpen, leaveOutDamaged, type MendDependencies, mendOpen } from './mend-open.ts';

/**
 * A marker that was not written again for so long is nobody's: it is written every minute, and an upload that could not
 * for five minutes gives itself up. In milliseconds.
 */
const DEAD_MS = 900_000;
/** Objects deleted in one go. */
const CHUNK = 1000;

/**
 * Ends uploads whose process has died: those that became a batch run, of the others nothing is left. The marker goes
 * last, so that whatever is broken off is found again. Harmless when several do it.
 * @param deadMs milliseconds; 15 minutes if left out
 */
export async function sweepUploads(deps: MendDependencies, deadMs = DEAD_MS): Promise<void> {
  const { store, files, logger } = deps;
  const olderThan = new Date((await storeTime(deps)) - deadMs);
  for await (const { key, modifiedAt } of store.list(uploadsPrefix)) {
    if (modifiedAt >= olderThan) continue;
    const id = key.slice(uploadsPrefix.length);
    const record = await files.readRecord(id).catch((error: unknown) => {
      if (error instanceof SyntaxError) return 'damaged' as const;
      throw error;
    });
    if (record === 'damaged') logger.error({ batch: id }, 'the record of a batch cannot be read; it is left as it is');
    else if (record === undefined) await deleteUpload(deps, id, olderThan);
    else
      await leaveOutDamaged(deps, id, async () => {
        await ensureOpen(deps, record);
        await store.delete([uploadKey(id)]);
      });
  }
  await mendOpen(deps, olderThan);
}

/** By the store's clock, which is the one that markers are dated by. */
async function storeTime({ store, clock }: MendDependencies): Promise<number> {
  await store.check();
  return (await store.head(PROBE_KEY))?.modifiedAt.getTime() ?? clock.now();
}

async function deleteUpload({ store, logger }: MendDependencies, id: string, olderThan: Date): Promise<void> {
  const marker = await store.get(uploadKey(id));
  if (marker === undefined) return;
  const text = Buffer.concat((await marker.body.toArray()) as Buffer[]).toString('utf8');
  // It was listed a while ago: somebody may have begun the same upload anew.
  if (marker.info.modifiedAt >= olderThan) return;
  const account = accountOf(text) ?? (await findAccount(store, id));
  let objects = 0;
  for (let keys: string[] = []; ; keys = []) {
    for await (const { key } of store.list(batchFolder(id), { limit: CHUNK })) keys.push(key);
    if (keys.length === 0) break;
    await store.delete(keys);
    objects += keys.length;
  }
  await store.delete([...(account === undefined ? [] : [accountBatchKey(account, id)]), openKey(id)]);
  await store.delete([uploadKey(id)]);
  logger.warn({ batch: id, objects }, 'an upload was cut off and made no batch; what it had stored was deleted');
}

function accountOf(text: string): string | undefined {
  try {
    const { account } = JSON.parse(text) as { account?: unknown };
    return typeof account === 'string' && account !== '' ? account : undefined;
  } catch {
    return undefined;
  }
}

/** For a marker that does not say whose upload it is. */
async function findAccount(store: Store, id: string): Promise<string | undefined> {
  for await (const { key } of store.list(accountsPrefix)) {
    const found = parseAccountBatchKey(key);
    if (found?.batch === id) return found.account;
  }
  return undefined;
}
