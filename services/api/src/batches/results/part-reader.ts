import { setTimeout as delay } from 'node:timers/promises';
import type { BatchRecord } from '@renderyard/shared/batch/batch';
import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { type BatchNow, laterResult, type RowNow, rowStatus } from '@renderyard/shared/batch/row-status';
import type { SameRedis } from '../../plugins/same-redis.ts';
import { isLive, readStoredNow, type StoredNow } from './batch-now.ts';

/** A part as it stood at one moment. */
export interface PartNow {
  readonly batch: BatchNow;
  readonly rows: readonly RowNow[];
}

/** Results move every 15 s at most, so that a second look is rare and a third one means that something is wrong. */
const MOST_LOOKS = 5;
const LISTED_FROM = 2;
const LOOK_AGAIN_MS = 50;

/** Of Redis, what tells about results. */
export type ResultStates = Pick<BatchStates, 'get' | 'results' | 'processing' | 'resultVersions'>;

/**
 * Reads parts of one batch as they stand. While it runs, results are on their way from Redis to the store: Redis is
 * read first, so that a line which moves meanwhile is met in the store, and what is written later counts. A version
 * that has given way to a newer one, or a batch that ended or was taken up again meanwhile, makes it look again.
 */
export function createPartReader({
  states,
  files,
  record,
  sameRedis,
}: {
  readonly states: ResultStates;
  readonly files: BatchFiles;
  readonly record: BatchRecord;
  /** Asked once a part was read, before it is given: an emptied Redis knows of no results that were only there. */
  readonly sameRedis: SameRedis;
}) {
  const { id } = record;
  // Of a batch that is not live; it changes only when that does, which the reading of a part finds out.
  let stored: Promise<StoredNow | undefined> | undefined;

  async function look(part: number, listed: boolean): Promise<ResultsNow | undefined> {
    const [before, fresh, processing] = await Promise.all([
      states.get(id),
      states.results(id, part),
      states.processing(id),
    ]);
    const liveVersions = await states.resultVersions(id);
    const after = await states.get(id);
    if (isLive(before) !== isLive(after) || before?.runs !== after?.runs) return undefined;
    if (!isLive(after)) {
      stored ??= readStoredNow(files, id, listed);
      const found = await stored;
      if (found === undefined) throw new Error(`The store has lost ${id}: its rows cannot be read any more.`);
      // It was retried since, and has ended again.
      if (after !== undefined && after.runs !== found.batch.runs && !listed) return undefined;
      const results = await readVersion(part, found.versions.get(part));
      return results && { batch: after ?? found.batch, results, processing: [] };
    }
    const versions = listed ? await files.resultVersions(id) : liveVersions;
    const results = await readVersion(part, versions.get(part));
    if (results === undefined) return undefined;
    const overlaid = new Map(results);
    for (const [row, result] of fresh) overlaid.set(row, laterResult(overlaid.get(row), result));
    return { batch: after, results: overlaid, processing };
  }

  async function readVersion(part: number, version: number | undefined) {
    return version === undefined ? new Map<number, RowResult>() : files.readResults(id, part, version);
  }

  return {
    /**
     * @throws {StoreError} when the store cannot be read.
     * @throws {GenerationLostError} when Redis was emptied or replaced meanwhile.
     * @throws {Error} when it has lost the part, or its results.
     */
    async read(part: number): Promise<PartNow> {
      const rows = await files.readRows(record, part);
      for (let looks = 0; looks < MOST_LOOKS; looks++) {
        const found = await look(part, looks >= LISTED_FROM);
        if (found !== undefined) {
          await sameRedis();
          const { batch, results } = found;
          const processing = new Set(found.processing);
          return {
            batch,
            rows: rows.map((row) => {
              const result = results.get(row.row);
              return { record: row, result, status: rowStatus(result, batch, processing.has(row.row)) };
            }),
          };
        }
        stored = undefined;
        await delay(LOOK_AGAIN_MS * looks);
      }
      throw new Error(
        `The results of part ${part} of ${id} are not where they are said to be, after ${MOST_LOOKS} looks.`,
      );
    },
  };
}

interface ResultsNow {
  readonly batch: BatchNow;
  readonly results: ReadonlyMap<number, RowResult>;
  readonly processing: readonly number[];
}
