import type { BatchRecord } from '@renderyard/shared/batch/batch';
import { imagesPrefix } from '@renderyard/shared/batch/batch-layout';
import type { Image } from '@renderyard/shared/job/job';
import type { Store } from '@renderyard/shared/store/store';
import type { PartNow } from './part-reader.ts';
import { resultsCsv } from './results-csv.ts';
import { createSpill, type Spill } from './spill.ts';
import { checkImage, WHOLE_BYTES } from './stored-images.ts';
import { takeAhead } from './take-ahead.ts';
import { type ZipFile, zipStream } from './zip-stream.ts';

/** Images read ahead of the one that is being sent: up to so many, and up to so many bytes with that one. */
const AHEAD = 4;
const AHEAD_BYTES = 16 * 1024 * 1024;

export interface ImagesZipSetup {
  readonly record: BatchRecord;
  readonly parts: AsyncIterable<PartNow>;
  readonly store: Store;
  readonly publicUrl: string;
  /** Where what is too large for memory goes meanwhile. */
  readonly folder: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly signal: AbortSignal;
}

/**
 * The images of a batch as a zip: those that are there, in the order of their rows, under their keys, and at the end
 * results.csv as it was when they were packed. Each image is read when its turn comes, a few ahead: of all of them no more
 * than about 24 MiB are in memory. What the zip's own directory takes, see {@link zipStream}.
 * @throws {Error} when an image is missing or another one: a zip without it would look whole.
 */
export async function* imagesZip(setup: ImagesZipSetup): AsyncGenerator<Uint8Array> {
  await using table = createSpill(setup.folder);
  yield* zipStream(filesOf(setup, table));
}

interface Packed {
  readonly image: Image;
  readonly endedAt: number;
}

async function* filesOf(setup: ImagesZipSetup, table: Spill): AsyncGenerator<ZipFile> {
  const { record, store, signal, now } = setup;
  const prefix = imagesPrefix(record.id);
  const ahead = {
    most: AHEAD,
    mostWeight: AHEAD_BYTES,
    weight: ({ image }: Packed) => (image.bytes <= WHOLE_BYTES ? image.bytes : 0),
  };
  yield* takeAhead(imagesInOrder(setup, table), ahead, async ({ image, endedAt }): Promise<ZipFile> => {
    const checked = await checkImage(store, image, signal);
    const name = image.key.startsWith(prefix) ? image.key.slice(prefix.length) : image.key;
    return { name, bytes: image.bytes, modifiedAt: endedAt, ...checked };
  });
  yield {
    name: 'results.csv',
    bytes: table.bytes,
    modifiedAt: now,
    read: () => table.read(),
  };
}

/** Goes through the rows, writes each into the table, and gives the images of those that have some. */
async function* imagesInOrder({ record, parts, publicUrl }: ImagesZipSetup, table: Spill): AsyncGenerator<Packed> {
  const csv = resultsCsv(record, { publicUrl, formulas: 'escape' });
  await table.write(Buffer.from(csv.header));
  for await (const { rows } of parts) {
    await table.write(Buffer.from(csv.rows(rows)));
    for (const { status, result } of rows) {
      if (status !== 'succeeded' || result === undefined) continue;
      for (const image of result.output ?? []) yield { image, endedAt: result.ended_at };
    }
  }
}
