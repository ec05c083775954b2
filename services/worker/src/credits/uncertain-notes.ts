import type { Ledger } from '@renderyard/shared/credits/ledger';
import { uncertainKey } from '@renderyard/shared/credits/uncertain-note';
import type { Store } from '@renderyard/shared/store/store';

/** Calls that are noted in one go. */
const MOST_NOTES = 100;

/**
 * Notes uncertain calls in the store, so that what may have been billed is not forgotten with Redis, and takes back the
 * notes of those whose cost is known by now. Harmless when several workers do it at once.
 * @throws {StoreError}
 */
export async function noteUncertainCalls({
  ledger,
  store,
}: {
  readonly ledger: Ledger;
  readonly store: Store;
}): Promise<void> {
  const { write, remove } = await ledger.unnoted(MOST_NOTES);
  if (write.length === 0 && remove.length === 0) return;
  for (const [call, text] of write)
    await store.put(uncertainKey(call), Buffer.from(`${text}\n`), { contentType: 'application/json' });
  if (remove.length > 0) await store.delete(remove.map(uncertainKey));
  await ledger.noted(write, remove);
}
