import type { BatchDecision, BatchRecord } from '../batch/batch.ts';
import type { BatchFiles } from '../batch/batch-files.ts';
import { imagesPrefix, rowImageKey } from '../batch/batch-layout.ts';
import { type RowRecord, rowInput, rowJobId } from '../batch/row.ts';
import type { RowResult } from '../batch/row-result.ts';
import type { Nanocredits } from '../credits/amount.ts';
import { costClass } from '../credits/estimate.ts';
import { type FoundImage, findImage } from '../job/stored-image.ts';
import { costFactors, findModel } from '../model/model.ts';
import type { Store } from '../store/store.ts';
import { inParallel } from './in-parallel.ts';

/** Rows whose images are asked for at once. */
const AT_ONCE = 12;
/** What models are asked for; anything else is a curiosity, and three requests a row are enough. */
const EXTENSIONS = ['jpg', 'png', 'webp'] as const;
/**
 * Rows are begun in order, and at most as many are in flight as there are slots: where so many rows in a row, and the
 * whole of a part, have no image, none behind them has one.
 */
const QUIET_ROWS = 1000;

export interface RowImageDependencies {
  readonly files: BatchFiles;
  readonly store: Store;
}

/** Results that images of a part make, by row, and the calls that brought them. */
export interface FoundRows {
  readonly part: number;
  readonly found: ReadonlyMap<number, { readonly result: RowResult; readonly call: string | undefined }>;
}

/** Whether a kind of rows is still worth looking at, part by part. `last` is the last part that has a result of them. */
function createHorizon(last: number) {
  let quiet = 0;
  return {
    reaches: (part: number) => part <= last || quiet < QUIET_ROWS,
    saw(part: number, looked: number, found: number): void {
      if (found > 0) quiet = 0;
      else if (part > last) quiet += looked;
    },
  };
}

/**
 * Finds images that were paid for and stored, and whose rows have no result: the call's end was lost with Redis.
 * Yields, part by part, the results that they make.
 * @param rows which rows are looked for: those without a result, and those that failed in an earlier run; and the last
 * part that has any result, of this run (`lastRetried`, −1 for none) or at all (`last`)
 */
export async function* findRowImages(
  { files, store }: RowImageDependencies,
  record: BatchRecord,
  decision: BatchDecision,
  rows: {
    readonly isFresh: (row: number) => boolean;
    readonly isDueAgain: (row: number) => boolean;
    readonly last: number;
    readonly lastRetried: number;
  },
  signal?: AbortSignal,
): AsyncGenerator<FoundRows> {
  if (!(await hasAny(store, imagesPrefix(record.id)))) return;
  const fresh = createHorizon(rows.last);
  const again = createHorizon(rows.lastRetried);
  let first = 1;
  for (let part = 0; part < record.parts.length; part++) {
    const count = record.parts[part]?.rows ?? 0;
    const numbers = Array.from({ length: count }, (_, i) => first + i);
    first += count;
    const wanted = {
      fresh: new Set(fresh.reaches(part) ? numbers.filter(rows.isFresh) : []),
      again: new Set(decision.runs > 0 && again.reaches(part) ? numbers.filter(rows.isDueAgain) : []),
    };
    if (!fresh.reaches(part) && (decision.runs === 0 || !again.reaches(part))) return;
    if (wanted.fresh.size + wanted.again.size === 0) continue;
    const found = new Map<number, { result: RowResult; call: string | undefined }>();
    const looked = (await files.readRows(record, part)).filter(
      ({ row }) => wanted.fresh.has(row) || wanted.again.has(row),
    );
    await inParallel(looked, AT_ONCE, async (row) => {
      signal?.throwIfAborted();
      const image = await findImage(store, rowImageKey(record.id, row.key), rowJobId(record.id, row.row), {
        extensions: EXTENSIONS,
        ...(signal === undefined ? {} : { signal }),
      });
      if (image !== undefined) found.set(row.row, { result: resultOf(record, decision, row, image), call: image.call });
    });
    fresh.saw(part, wanted.fresh.size, [...found.keys()].filter((row) => wanted.fresh.has(row)).length);
    again.saw(part, wanted.again.size, [...found.keys()].filter((row) => wanted.again.has(row)).length);
    if (found.size > 0) yield { part, found };
  }
}

async function hasAny(store: Store, prefix: string): Promise<boolean> {
  for await (const _ of store.list(prefix, { limit: 1 })) return true;
  return false;
}

function resultOf(record: BatchRecord, decision: BatchDecision, row: RowRecord, found: FoundImage): RowResult {
  return {
    row: row.row,
    run: decision.runs,
    status: 'succeeded',
    output: [found.image],
    attempts: 1,
    uncertain: 0,
    cost: found.cost ?? guessOf(record, row),
    started_at: found.storedAt,
    ended_at: found.storedAt,
  };
}

/** What a call of the row was expected to cost, for an upstream that does not tell. */
function guessOf(record: BatchRecord, row: RowRecord): Nanocredits {
  const model = findModel(record.model);
  if (model === undefined) return 0;
  const name = costClass(costFactors(model, rowInput(record, row)));
  return record.classes.find((each) => each.class === name)?.guess ?? 0;
}
