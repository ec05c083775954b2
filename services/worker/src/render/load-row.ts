import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import { rowImageKey } from '@renderyard/shared/batch/batch-layout';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import { partOfRow, rowInput } from '@renderyard/shared/batch/row';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { describeError } from '@renderyard/shared/describe-error';
import type { Job } from '@renderyard/shared/job/job';
import { readOrigin } from '@renderyard/shared/origin';
import { StoreError } from '@renderyard/shared/store/store-error';
import type { Work } from './work.ts';

/** Thrown when the store has no such row: somebody deleted or changed what the batch is made of. */
export class RowLostError extends Error {
  override readonly name = 'RowLostError';
  /** The part that should hold the row. */
  readonly part: number;

  constructor(message: string, part: number) {
    super(message);
    this.part = part;
  }
}

/** A version may be replaced by a newer one between being named and being read; then both are asked for again. */
const MOST_READS = 5;

/**
 * Completes a row's job from the store: its input, where its image goes, and what earlier runs of it came to.
 * @throws {StoreError} when the store cannot be read; {@link RowLostError}.
 */
export async function loadRow(
  job: Job,
  { files, states }: { readonly files: BatchFiles; readonly states: BatchStates },
): Promise<Work> {
  const { batch, row: number } = job;
  if (batch === undefined || number === undefined) return { job, row: undefined };
  const record = await files.readRecord(batch);
  const place = record && partOfRow(record.parts, number);
  if (record === undefined || place === undefined)
    throw new RowLostError(`The store has no row ${number} of ${batch}.`, 0);
  const rows = await files.readRows(record, place.part).catch((error: unknown) => {
    if (error instanceof StoreError) throw error;
    throw new RowLostError(`Rows of ${batch} cannot be read: ${describeError(error).message}`, place.part);
  });
  const row = rows[number - place.first];
  if (row?.row !== number)
    throw new RowLostError(`The store has no row ${number} of ${batch} where it belongs.`, place.part);
  const previous = job.run === 0 ? undefined : await readResult(batch, place.part, number, { files, states });
  return {
    job: { ...job, input: rowInput(record, row), imageKey: rowImageKey(batch, row.key), origin: readOrigin(record) },
    row: {
      part: place.part,
      ...(previous === undefined
        ? {}
        : {
            previous: {
              attempts: previous.attempts,
              uncertain: previous.uncertain,
              cost: previous.cost,
              startedAt: previous.started_at,
            },
          }),
    },
  };
}

async function readResult(
  batch: string,
  part: number,
  row: number,
  { files, states }: { readonly files: BatchFiles; readonly states: BatchStates },
): Promise<RowResult | undefined> {
  for (let tries = 1; tries <= MOST_READS; tries++) {
    // Redis first: what leaves it meanwhile is in the store by then.
    const fresh = (await states.results(batch, part)).get(row);
    if (fresh !== undefined) return fresh;
    const version = (await states.resultVersions(batch)).get(part);
    if (version === undefined) return undefined;
    const results = await files.readResults(batch, part, version);
    if (results !== undefined) return results.get(row);
  }
  return undefined;
}
