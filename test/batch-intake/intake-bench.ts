import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ImportResult } from '@renderyard/api/batches/intake/import-job';
import { importUpload } from '@renderyard/api/batches/intake/import-upload';
import type { BatchReport, RowProblem } from '@renderyard/shared/batch/batch';
import { rejectedKey, rowsKey } from '@renderyard/shared/batch/batch-layout';
import { parseLines } from '@renderyard/shared/batch/lines';
import type { RowRecord } from '@renderyard/shared/batch/row';
import { DEFAULT_MODEL } from '@renderyard/shared/model/model';
import { openStore } from '@renderyard/shared/store/open-store';
import type { Store } from '@renderyard/shared/store/store';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

export const BATCH = 'bat_00000000000000000000000000';
const LIMITS = { mostBytes: 64 * 1024 * 1024, mostRows: 100_000, mostRowBytes: 65_536 };

/** A line of a rejected part. */
export interface RejectedLine {
  readonly line: number;
  readonly values: readonly unknown[];
  readonly problems: readonly RowProblem[];
}

export interface Imported extends ImportResult {
  readonly rowRecords: readonly RowRecord[];
  readonly rejectedLines: readonly RejectedLine[];
  readonly report: BatchReport;
}

export interface ImportSettings {
  readonly type?: string;
  readonly encoding?: string;
  readonly filename?: string;
  readonly limits?: Partial<typeof LIMITS>;
  readonly read?: Readonly<Record<string, unknown>>;
  readonly dryRun?: boolean;
}

/** The bytes in pieces, as a connection brings them. */
export function pieces(bytes: Uint8Array, size = 1000): Buffer[] {
  const buffer = Buffer.from(bytes);
  const cut: Buffer[] = [];
  for (let at = 0; at < buffer.length; at += size) cut.push(buffer.subarray(at, at + size));
  return cut;
}

/** Imports uploads into a directory store, on the test's own thread. */
export async function openIntakeBench() {
  const dataDir = await makeTemporaryFolder('intake');
  const store = openTestStore(dataDir);
  let uploads = 0;

  return {
    store,
    dataDir,

    async import(body: string | Uint8Array | Iterable<Buffer>, settings: ImportSettings = {}): Promise<Imported> {
      const { type = 'text/csv', encoding, filename, limits, read, dryRun = false } = settings;
      const bytes = typeof body === 'string' || body instanceof Uint8Array ? pieces(Buffer.from(body as string)) : body;
      const upload = `upload${++uploads}`;
      const result = await importUpload(
        Readable.from(bytes, { objectMode: false }),
        { batch: BATCH, upload, contentType: type, contentEncoding: encoding, filename },
        {
          store,
          limits: { ...LIMITS, ...limits },
          creditEstimate: 0.02,
          dataDir,
          options: async () => ({ read: { on_invalid: 'skip', model: DEFAULT_MODEL, ...read }, dryRun }),
          begun: { rows: () => {}, rejected: () => {} },
          signal: new AbortController().signal,
        },
      );
      return { ...result, ...(await readParts(store, upload, result)) };
    },

    /** Files that forms have left behind. */
    spooled: () => readdir(join(dataDir, 'api/uploads')).catch(() => []),

    async [Symbol.asyncDispose]() {
      await store.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export function openTestStore(dataDir: string): Store {
  return openStore({
    DATA_DIR: dataDir,
    S3_BUCKET: undefined,
    S3_PREFIX: undefined,
    S3_FORCE_PATH_STYLE: false,
    publicUrl: 'http://renderyard.test',
    signingKey: Buffer.alloc(32),
  });
}

/** What the parts of an upload hold. */
export async function readParts(store: Store, upload: string, result: ImportResult) {
  const rowRecords: RowRecord[] = [];
  for (const part of result.parts.keys())
    rowRecords.push(...parseLines<RowRecord>(await readText(store, rowsKey(BATCH, upload, part))));
  const rejectedLines: RejectedLine[] = [];
  for (const part of result.rejected_parts.keys())
    rejectedLines.push(...parseLines<RejectedLine>(await readText(store, rejectedKey(BATCH, upload, part))));
  return { rowRecords, rejectedLines };
}

export async function readText(store: Store, key: string): Promise<string> {
  const object = await store.get(key);
  if (object === undefined) throw new Error(`There is no ${key}.`);
  const chunks: Buffer[] = [];
  for await (const chunk of object.body) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
