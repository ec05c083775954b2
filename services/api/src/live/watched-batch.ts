import { isBatchFinal } from '@renderyard/shared/batch/batch';
import { ProblemError } from '../errors/problem-error.ts';
import { type LiveEntry, topicsOf } from './live-entry.ts';
import type { LiveViews } from './live-views.ts';
import { type Meaning, NOTHING, type Shown, type Watched } from './watched.ts';

/** A batch until it ends. @param rows whether the ends of its rows are told one by one. */
export function watchedBatch(
  id: string,
  account: string,
  { rows }: { readonly rows: boolean },
  views: Pick<LiveViews, 'batch' | 'endedRow'>,
): Watched {
  const show = async (entry?: string): Promise<Shown> => {
    const batch = await views.batch(id, account, entry);
    return { data: batch, ended: isBatchFinal(batch.status) };
  };
  return {
    topic: `batch:${id}`,
    snapshot: () => show(),
    meaningOf: (entry) => (topicsOf(entry).includes(`batch:${id}`) ? meaningForBatch(entry, rows) : NOTHING),
    event: async (entry) => {
      if (entry.row === undefined) {
        const shown = await show(entry.id);
        // It may have ended since; then the entry that tells so is still to come.
        return { ...shown, ended: shown.ended && tellsEndOfBatch(entry) };
      }
      const row = await views.endedRow(entry);
      if (row === undefined) throw new ProblemError('not_found');
      return { data: row, ended: false };
    },
    progress: async (_batch, entry) => ({ ...(await show(entry)), ended: false }),
  };
}

/** Ends of rows and small changes are told of together; what else becomes of a batch, by itself. */
export function meaningForBatch({ type, batch, row }: LiveEntry, rows: boolean): Meaning {
  if (row !== undefined) return { isEvent: rows, progressOf: batch };
  return type === 'batch.progress' ? { isEvent: false, progressOf: batch } : { isEvent: true };
}

export function tellsEndOfBatch({ type }: LiveEntry): boolean {
  return type === 'batch.completed' || type === 'batch.canceled';
}
