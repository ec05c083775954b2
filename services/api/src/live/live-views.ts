import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchView } from '@renderyard/shared/batch/batch-view';
import type { BatchViewer } from '@renderyard/shared/batch/batch-viewer';
import { rowJob } from '@renderyard/shared/batch/row-job';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import { type JobView, viewJob } from '@renderyard/shared/job/job-view';
import type { BatchFinder } from '../batches/batch-finder.ts';
import { type CreditEventView, viewEvent } from '../credits/event-view.ts';
import { findJob, type JobFinder } from '../jobs/find-job.ts';
import type { JobViewer } from '../jobs/job-viewer.ts';
import type { BeginReading } from '../plugins/same-redis.ts';
import type { LiveEntry } from './live-entry.ts';

/** As many changes of the credits as are kept. */
const MOST_CREDIT_EVENTS = 1_000;

/** A row that has ended, without what only the store tells. */
export type EndedRowView = Omit<JobView, 'input' | 'metadata'>;

export type LiveViews = ReturnType<typeof createLiveViews>;

/**
 * What is told of jobs and batches to those who watch them: as they are when it is asked for, from one Redis. Many who
 * ask for the same because of the same entry are given one reading, which began after that entry was written.
 */
export function createLiveViews({
  finder,
  batchViewer,
  viewer,
  ledger,
  files,
  publicUrl,
  beginReading,
  ...jobFinder
}: JobFinder & {
  readonly finder: BatchFinder;
  readonly batchViewer: BatchViewer;
  readonly viewer: JobViewer;
  readonly ledger: Pick<Ledger, 'events'>;
  readonly files: Pick<BatchFiles, 'readRecord'>;
  readonly publicUrl: string;
  readonly beginReading: BeginReading;
}) {
  const running = new Map<string, Promise<unknown>>();

  /** @throws {GenerationLostError} where what was read may come from an emptied Redis. */
  async function readOnce<T>(key: string, entry: string | undefined, read: () => Promise<T>): Promise<T> {
    const checked = async () => {
      const sameRedis = beginReading();
      try {
        return await read();
      } finally {
        // Also where nothing was found.
        await sameRedis();
      }
    };
    if (entry === undefined) return checked();
    const name = `${entry} ${key}`;
    const shared = running.get(name) ?? checked().finally(() => running.delete(name));
    running.set(name, shared);
    return shared as Promise<T>;
  }

  return {
    /** @param entry the id of an entry that tells of it, if it is asked for because of one. */
    job: (id: string, account: string, entry?: string): Promise<JobView> =>
      readOnce(`${account} ${id}`, entry, async () => viewer.viewOne(await findJob(jobFinder, id, account))),

    batch: (id: string, account: string, entry?: string): Promise<BatchView> =>
      readOnce(`${account} ${id}`, entry, async () => batchViewer.viewOne(await finder.find(id, account))),

    /** A row that ended, from the entry that tells of it; undefined where its batch is gone. */
    async endedRow({ batch, row, line }: LiveEntry): Promise<EndedRowView | undefined> {
      const record = batch === undefined ? undefined : await files.readRecord(batch);
      if (record === undefined || row === undefined || line === undefined) return undefined;
      const result = JSON.parse(line) as RowResult;
      const given = { row, line: 0, key: '', seed: 0, values: [] };
      const now = { status: 'running', hold: undefined, runs: result.run, endedAt: undefined } as const;
      const job = rowJob(record, { record: given, status: result.status, result }, now, undefined);
      const { input: _input, metadata: _metadata, ...view } = viewJob(job, { publicUrl, holds: [], now: 0 });
      return view;
    },

    /** A change of the credits; undefined where it is not kept any more. */
    credits: (id: string, entry: string): Promise<CreditEventView | undefined> =>
      readOnce(id, entry, async () => {
        const event = (await ledger.events({ limit: MOST_CREDIT_EVENTS })).find((each) => each.id === id);
        return event && viewEvent(event);
      }),
  };
}
