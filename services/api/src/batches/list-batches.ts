import type { BatchStatus } from '@renderyard/shared/batch/batch';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { FoundBatch } from '@renderyard/shared/batch/found-batch';
import type { BatchFinder } from './batch-finder.ts';

export interface BatchPage {
  readonly batches: readonly FoundBatch[];
  /** The id to go on after; null where there are no more. */
  readonly next: string | null;
}

/** Batches looked at for one page. Ended ones may lie in the store only, and few may have the status that is asked for. */
const MOST_LOOKED_AT = 300;
const AT_ONCE = 10;

/**
 * An account's batches, the newest first. With a status a page may have fewer than `limit` and more may follow, so that
 * the work for one is bounded.
 */
export async function listBatches(
  { states, finder }: { readonly states: BatchStates; readonly finder: BatchFinder },
  account: string,
  {
    status,
    after,
    limit,
  }: { readonly status?: BatchStatus | undefined; readonly after?: string | undefined; readonly limit: number },
): Promise<BatchPage> {
  const batches: FoundBatch[] = [];
  let last = after;
  for (let looked = 0; looked < MOST_LOOKED_AT; ) {
    const ids = await states.list(account, { after: last, limit: AT_ONCE + 1 });
    const some = ids.slice(0, AT_ONCE);
    const found = await Promise.all(some.map((id) => finder.read(id)));
    for (const [index, batch] of found.entries()) {
      last = some[index];
      const more = index + 1 < ids.length;
      if (batch?.record.account === account && (status === undefined || batch.state.status === status))
        batches.push(batch);
      if (batches.length === limit) return { batches, next: more ? (last ?? null) : null };
    }
    looked += some.length;
    if (ids.length <= AT_ONCE) return { batches, next: null };
  }
  return { batches, next: last ?? null };
}
