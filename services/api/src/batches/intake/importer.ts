import { rejectedKey, rowsKey } from '@renderyard/shared/batch/batch-layout';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import { describeError } from '@renderyard/shared/describe-error';
import type { Logger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import { UploadError } from '../upload-error.ts';
import { type ImportRequest, importInThread, type Upload } from './import-in-thread.ts';
import type { ImportResult } from './import-job.ts';
import { BEGUN_REJECTED, BEGUN_ROWS } from './thread-messages.ts';
import { createThreadPool } from './thread-pool.ts';

export type { ImportResult } from './import-job.ts';

export type Importer = ReturnType<typeof createImporter>;

export interface ImporterDeps {
  readonly config: Pick<
    Config,
    | 'S3_BUCKET'
    | 'S3_PREFIX'
    | 'S3_FORCE_PATH_STYLE'
    | 'DATA_DIR'
    | 'PUBLIC_URL'
    | 'MAX_UPLOAD_BYTES'
    | 'MAX_ROWS'
    | 'MAX_ROW_BYTES'
    | 'CREDIT_ESTIMATE'
  >;
  readonly signingKey: Uint8Array;
  /** For what is to be deleted; the threads open the same store themselves. */
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds that an import waits for another to end; 10 s if left out. */
  readonly patienceMs?: number;
}

/** Reads uploads into parts in the store, in threads of their own. */
export function createImporter({ config, signingKey, store, clock, logger, patienceMs }: ImporterDeps) {
  const { S3_BUCKET, S3_PREFIX, S3_FORCE_PATH_STYLE, DATA_DIR, PUBLIC_URL } = config;
  const pool = createThreadPool({
    setup: {
      store: { S3_BUCKET, S3_PREFIX, S3_FORCE_PATH_STYLE, DATA_DIR, publicUrl: PUBLIC_URL, signingKey },
      limits: { mostBytes: config.MAX_UPLOAD_BYTES, mostRows: config.MAX_ROWS, mostRowBytes: config.MAX_ROW_BYTES },
      creditEstimate: config.CREDIT_ESTIMATE,
    },
    clock,
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  const closing = new AbortController();
  let count = 0;

  /** Best effort: what stays is found by the marker of the upload. */
  const deleteBegun = async ({ batch, upload }: ImportRequest, begun: Int32Array) => {
    const keys = [
      ...Array.from({ length: Atomics.load(begun, BEGUN_ROWS) }, (_, part) => rowsKey(batch, upload, part)),
      ...Array.from({ length: Atomics.load(begun, BEGUN_REJECTED) }, (_, part) => rejectedKey(batch, upload, part)),
    ];
    if (keys.length === 0) return;
    await store.delete(keys).catch((error: unknown) => {
      logger.warn({ err: describeError(error), batch_id: batch }, 'parts of a failed upload could not be deleted');
    });
  };

  const running = new Set<Promise<unknown>>();

  const run = async (upload: Upload, request: ImportRequest, given: AbortSignal): Promise<ImportResult> => {
    const signal = AbortSignal.any([given, closing.signal]);
    const thread = await pool.lend(signal);
    const begun = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
    const { worker } = thread;
    const outcome = await importInThread({ worker, n: ++count, upload, request, begun, signal });
    await thread.release(outcome.fit);
    if (outcome.kind === 'done') return outcome.result;
    await deleteBegun(request, begun);
    const { error } = outcome;
    if (error instanceof UploadError && error.code === 'import_failed')
      logger.error({ err: describeError(error), batch_id: request.batch }, 'an import failed');
    throw error;
  };

  return {
    /**
     * Imports an upload. When it throws, the parts that it wrote are deleted, as far as the store lets it. The body is
     * left as it is, paused.
     * @throws {UploadError} for what is wrong with the upload, and `imports_busy` when no thread is free for 10 s.
     * @throws {StoreError} when the store fails; the signal's reason when it aborts; what `options` throws.
     */
    async import(
      upload: Upload,
      request: ImportRequest,
      { signal }: { readonly signal: AbortSignal },
    ): Promise<ImportResult> {
      const importing = run(upload, request, signal);
      running.add(importing);
      try {
        return await importing;
      } finally {
        running.delete(importing);
      }
    },

    /** Ends what still runs, within seconds. */
    async close(): Promise<void> {
      closing.abort(new Error('The API is stopping.'));
      await Promise.allSettled(running);
      await pool.close();
    },
  };
}
