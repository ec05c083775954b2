import { parseRowJobId } from '@renderyard/shared/batch/row';
import { isFinal } from '@renderyard/shared/job/job';
import { JOB_EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import { type LiveEntry, topicsOf } from './live-entry.ts';
import type { LiveViews } from './live-views.ts';
import type { Watched } from './watched.ts';
import { tellsEndOfBatch } from './watched-batch.ts';

/** A job, or a row of a batch, until it ends. */
export function watchedJob(id: string, account: string, views: Pick<LiveViews, 'job'>): Watched {
  const show = async (entry?: string) => {
    const job = await views.job(id, account, entry);
    return { data: job, ended: isFinal(job.status) };
  };
  const batch = parseRowJobId(id)?.batch;
  // Rows that are canceled with their batch have no entry of their own.
  const endsBatch = (entry: LiveEntry) => entry.row === undefined && tellsEndOfBatch(entry);
  return {
    topic: batch === undefined ? `job:${id}` : `batch:${batch}`,
    snapshot: () => show(),
    meaningOf: (entry) => ({ isEvent: topicsOf(entry).includes(`job:${id}`) || endsBatch(entry) }),
    event: async (entry) => {
      const shown = await show(entry.id);
      // It may have ended since; then the entry that tells so is still to come.
      if (entry.job === id) return { ...shown, ended: shown.ended && tellsEnd(entry) };
      return shown.data.status === 'canceled' ? { ...shown, type: 'job.canceled' } : undefined;
    },
    progress: async () => undefined,
  };
}

function tellsEnd({ type }: LiveEntry): boolean {
  return JOB_EVENT_TYPES.some((each) => each === type);
}
