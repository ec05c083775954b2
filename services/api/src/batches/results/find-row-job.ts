import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import { partOfRow, rowJobId } from '@renderyard/shared/batch/row';
import { rowJob } from '@renderyard/shared/batch/row-job';
import { isFinal } from '@renderyard/shared/job/job';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { FindRowJob } from '../../jobs/find-job.ts';
import type { BeginReading } from '../../plugins/same-redis.ts';
import type { BatchFinder } from '../batch-finder.ts';
import { createPartReader, type ResultStates } from './part-reader.ts';

/** Finds rows by the ids of their jobs: what was submitted in the store, what has become of it there or in Redis. */
export function createRowJobFinder({
  finder,
  states,
  files,
  jobs,
  beginReading,
}: {
  readonly finder: BatchFinder;
  readonly states: ResultStates;
  readonly files: BatchFiles;
  readonly jobs: JobStore;
  readonly beginReading: BeginReading;
}): FindRowJob {
  return async ({ batch: id, row: number }) => {
    const sameRedis = beginReading();
    const found = await finder.read(id);
    const place = found && partOfRow(found.record.parts, number);
    if (place === undefined) return undefined;
    const { record } = found as NonNullable<typeof found>;
    const { batch, rows } = await createPartReader({ states, files, record, sameRedis }).read(place.part);
    const row = rows[number - place.first];
    if (row === undefined) return undefined;
    const live = isFinal(row.status) ? undefined : await jobs.get(rowJobId(id, number));
    return rowJob(record, row, batch, live);
  };
}
