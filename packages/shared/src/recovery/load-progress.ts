import type { BatchDecision, BatchRecord } from '../batch/batch.ts';
import type { BatchFiles } from '../batch/batch-files.ts';
import { rowsKey } from '../batch/batch-layout.ts';
import type { BatchProgress } from '../batch/batch-states.ts';
import { readNewestResults } from '../batch/newest-results.ts';
import type { RowResult } from '../batch/row-result.ts';
import type { Store } from '../store/store.ts';
import { findRowImages } from './find-row-images.ts';
import { inParallel } from './in-parallel.ts';
import { createRowTally, type UncertainCall, type UncertainRows } from './row-tally.ts';

/** Parts read at once: some 500 KB each. */
const PARTS_AT_ONCE = 4;

export interface ProgressDependencies {
  readonly files: BatchFiles;
  readonly store: Store;
}

export interface LoadOptions {
  /**
   * Has images looked for that no result tells of. Their results are written under this version (milliseconds since
   * 1970), or a higher one where a part has that already. Left out where no call can have been made unseen.
   */
  readonly foundAt?: number;
  readonly uncertain?: UncertainRows | undefined;
  readonly signal?: AbortSignal;
}

/** {@link BatchProgress}, how many images were found that no result told of, and which calls had brought them. */
export interface LoadedProgress extends BatchProgress {
  readonly found: number;
  readonly foundCalls: readonly string[];
}

/**
 * Reads from the store how far a batch has come. A row that failed in an earlier run than the decision's is due again.
 * @throws {StoreError} when the store cannot be read. @throws {Error} anything else for a batch that is damaged.
 */
export async function loadProgress(
  { files, store }: ProgressDependencies,
  record: BatchRecord,
  decision: BatchDecision,
  { foundAt, uncertain, signal }: LoadOptions = {},
): Promise<LoadedProgress> {
  await checkParts(store, record);
  const firsts = firstRows(record);
  const tally = createRowTally(record, decision, uncertain);
  const versions = new Map<number, number>();
  let [last, lastRetried] = [-1, -1];

  const belongs = (part: number) => {
    const first = firsts[part] ?? 0;
    return ({ row }: RowResult) => row >= first && row < first + (record.parts[part]?.rows ?? 0);
  };
  const read = async (part: number, listed: number) => {
    const results = await files.readResults(record.id, part, listed);
    return results === undefined ? readNewestResults({ files, store }, record.id, part) : { version: listed, results };
  };

  const listed = [...(await files.resultVersions(record.id))].filter(([part]) => part < record.parts.length);
  await inParallel(listed, PARTS_AT_ONCE, async ([part, newest]) => {
    signal?.throwIfAborted();
    const { version, results } = await read(part, newest);
    versions.set(part, version);
    for (const result of [...results.values()].filter(belongs(part))) {
      tally.add(result);
      last = Math.max(last, part);
      if (result.run === decision.runs) lastRetried = Math.max(lastRetried, part);
    }
  });

  let foundImages = 0;
  const foundCalls: string[] = [];
  if (foundAt !== undefined) {
    const rows = { isFresh: tally.isFresh, isDueAgain: tally.isDueAgain, last, lastRetried };
    for await (const { part, found } of findRowImages({ files, store }, record, decision, rows, signal)) {
      const { version, results } = await readNewestResults({ files, store }, record.id, part);
      const merged = new Map(results);
      for (const { result, call } of found.values()) {
        const before = results.get(result.row);
        const others = tally.untold(result.row).filter((each) => each.call !== call);
        const after = follow(before, others, result);
        tally.add(after, before, call);
        merged.set(after.row, after);
        if (call !== undefined) foundCalls.push(call);
      }
      signal?.throwIfAborted();
      const next = Math.max(foundAt, version + 1);
      await files.writeResults(record.id, part, next, merged.values());
      versions.set(part, next);
      foundImages += found.size;
    }
  }
  return { ...tally.progress(versions), found: foundImages, foundCalls };
}

/** What a row's result says over all runs, and with calls of which none told. */
function follow(before: RowResult | undefined, untold: readonly UncertainCall[], result: RowResult): RowResult {
  const cost = untold.reduce((sum, { estimate }) => sum + estimate, result.cost);
  const startedAt = Math.min(result.started_at ?? Infinity, ...untold.map((call) => call.startedAt));
  return {
    ...result,
    attempts: (before?.attempts ?? 0) + untold.length + result.attempts,
    uncertain: (before?.uncertain ?? 0) + untold.length + result.uncertain,
    cost: (before?.cost ?? 0) + cost,
    started_at: before?.started_at ?? (startedAt === Infinity ? null : startedAt),
  };
}

/** The first row of each part. */
function firstRows(record: BatchRecord): readonly number[] {
  let next = 1;
  return record.parts.map(({ rows }) => {
    const first = next;
    next += rows;
    return first;
  });
}

/** @throws {Error} naming the first part that somebody has deleted. */
async function checkParts(store: Store, record: BatchRecord): Promise<void> {
  const there = new Set<string>();
  for await (const { key } of store.list(`batches/${record.id}/rows/`)) there.add(key);
  const lost = record.parts.findIndex((_, part) => !there.has(rowsKey(record.id, record.upload, part)));
  if (lost !== -1)
    throw new Error(`The store has lost ${rowsKey(record.id, record.upload, lost)}: rows of the batch cannot be read.`);
}
