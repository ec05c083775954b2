import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import { resultsKey } from '@renderyard/shared/batch/batch-layout';
import type { BatchStates, Flush } from '@renderyard/shared/batch/batch-states';
import { readNewestResults } from '@renderyard/shared/batch/newest-results';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import type { Store } from '@renderyard/shared/store/store';
import { LostLeaseError } from './flush-lease.ts';

/**
 * Writes what Redis has of a results part into the store, merged with what lies there, as a new version.
 *
 * A worker that was frozen here and wakes up when another has the batch does no harm: its version is lower than that of
 * the lease which followed, and that one holds everything, because lines leave Redis only through `flushed`, which a
 * lost lease is refused; and older versions are deleted only after it.
 * @throws {LostLeaseError}
 */
export async function writePart(
  { states, files, store }: { readonly states: BatchStates; readonly files: BatchFiles; readonly store: Store },
  flush: Flush,
  part: number,
): Promise<void> {
  const stored = await readNewestResults({ files, store }, flush.batch, part);
  const lines = await states.unwritten(flush.batch, part);
  const merged = mergeResults(
    stored.results,
    lines.map((line) => JSON.parse(line) as RowResult),
  );
  await files.writeResults(flush.batch, part, flush.version, merged.values());
  if (!(await states.flushed(flush, part, lines))) throw new LostLeaseError(`part ${part} of ${flush.batch}`);
  const older = [stored.version, ...stored.older].filter((version) => version !== 0 && version < flush.version);
  await store.delete(older.map((version) => resultsKey(flush.batch, part, version)));
}

/** Of each row the result of the latest run; of two of the same run the newer one. */
export function mergeResults(
  older: ReadonlyMap<number, RowResult>,
  newer: Iterable<RowResult>,
): ReadonlyMap<number, RowResult> {
  const merged = new Map(older);
  for (const result of newer) if (result.run >= (merged.get(result.row)?.run ?? 0)) merged.set(result.row, result);
  return merged;
}
