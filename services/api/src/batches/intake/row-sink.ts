import { PART_BYTES, type RowsPart } from '@renderyard/shared/batch/batch';
import { rejectedKey, rowsKey } from '@renderyard/shared/batch/batch-layout';
import type { Read } from '../rows/read.ts';
import { UploadError } from '../upload-error.ts';
import { createPartWriter } from './part-writer.ts';
import type { PutQueue } from './put-queue.ts';

/** How many parts of an upload were begun, so that they can be deleted whatever happens to who wrote them. */
export interface BegunParts {
  rows(count: number): void;
  rejected(count: number): void;
}

export type RowSink = ReturnType<typeof createRowSink>;

/** Takes what becomes of each record, and writes the parts of an upload. */
export function createRowSink({
  batch,
  upload,
  mostRows,
  queue,
  begun,
}: {
  readonly batch: string;
  readonly upload: string;
  readonly mostRows: number;
  readonly queue: PutQueue;
  readonly begun: BegunParts;
}) {
  let count = 0;
  /** They are no rows, but a small file can be unpacked to a thousand million of them. */
  let blanks = 0;
  let dry = false;
  /** Parts are numbered in their order; each is whole when its sum is known. */
  const writerOf = (parts: RowsPart[], key: typeof rowsKey, tell: (count: number) => void) =>
    createPartWriter((part, count, bytes) => {
      tell(part + 1);
      queue.begin(key(batch, upload, part), bytes, (sha256) => {
        parts[part] = { rows: count, bytes: bytes.length, sha256 };
      });
    });
  const parts: RowsPart[] = [];
  const rejectedParts: RowsPart[] = [];
  const rows = writerOf(parts, rowsKey, begun.rows);
  const rejected = writerOf(rejectedParts, rejectedKey, begun.rejected);

  return {
    /** Set before the first record: in a dry run records are only counted. */
    setDry(isDry: boolean): void {
      dry = isDry;
    },

    /** @throws {UploadError} `too_many_rows`, or `row_too_long` for a row that fits into no part. */
    take(read: Read): void {
      if (read.kind === 'blank') {
        if (++blanks > mostRows) throw tooMany('blank lines', mostRows);
        return;
      }
      if (++count > mostRows) throw tooMany('rows', mostRows);
      if (dry) return;
      if (read.kind === 'row') rows.add(read.row);
      else rejected.add(fitting(read));
    },

    flush(): void {
      rows.flush();
      rejected.flush();
    },

    count: () => count,
    /** The parts that are in the store. */
    parts: parts as readonly RowsPart[],
    rejectedParts: rejectedParts as readonly RowsPart[],
  };
}

/** Leaves out the values of a record that fits into no part with them; nearly always it is far smaller. */
function fitting({ line, values, problems }: Extract<Read, { kind: 'rejected' }>) {
  const characters = values.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length + 3 : 0), 0);
  // A character takes at most 6 bytes in JSON (\u0000).
  const fits = characters * 6 < PART_BYTES / 2 || JSON.stringify(values).length * 3 < PART_BYTES;
  return { line, values: fits ? values : [], problems };
}

function tooMany(what: string, most: number): UploadError {
  return new UploadError(
    'too_many_rows',
    `The upload has more than ${most} ${what} (MAX_ROWS). Split it into several batches.`,
  );
}
