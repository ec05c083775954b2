import { parentPort, workerData } from 'node:worker_threads';
import { openDirectory } from '@renderyard/shared/store/open-directory';
import type { ImportJob, ImportOptions } from './import-job.ts';
import { importUpload } from './import-upload.ts';
import { sendError } from './sent-error.ts';
import { BEGUN_REJECTED, BEGUN_ROWS, type FromThread, type ThreadSetup, type ToThread } from './thread-messages.ts';

/**
 * The thread in which uploads are parsed, one at a time, so that the API goes on answering. It puts the parts into the
 * store itself: they would cost as much to send as to write.
 */
const port = parentPort;
if (port === null) throw new Error('import-thread.ts is to be run as a worker thread.');
const { store: storeSettings, limits, creditEstimate } = workerData as ThreadSetup;
// Of each only what is needed is loaded: the SDK of S3 takes a tenth of a second, and memory.
const store =
  storeSettings.S3_BUCKET === undefined
    ? openDirectory(storeSettings)
    : (await import('@renderyard/shared/store/open-store')).openStore(storeSettings);

interface Running {
  readonly n: number;
  readonly aborted: AbortController;
  /** The bytes that wait; undefined is their end. */
  readonly pieces: (Buffer | undefined)[];
  /** Called when something has come. */
  wake: () => void;
  options: ((options: ImportOptions) => void) | undefined;
}

/** A part of what may wait, so that more comes long before there is nothing left. */
const TELL_BYTES = 256 * 1024;

let running: Running | undefined;
const tell = (message: FromThread) => port.postMessage(message);

port.on('message', (message: ToThread) => {
  if (message.kind !== 'begin' && running?.n !== message.n) return;
  switch (message.kind) {
    case 'begin':
      running = { n: message.n, aborted: new AbortController(), pieces: [], wake: () => {}, options: undefined };
      void run(running, message.job, message.begun);
      break;
    case 'bytes':
      running?.pieces.push(Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength));
      break;
    case 'end':
      running?.pieces.push(undefined);
      break;
    case 'options':
      running?.options?.(message.options);
      break;
    case 'abort':
      running?.aborted.abort();
  }
  running?.wake();
});

async function run(current: Running, job: ImportJob, begun: Int32Array): Promise<void> {
  const { n } = current;
  const signal = current.aborted.signal;
  try {
    const result = await importUpload(received(current), job, {
      ...{ store, limits, creditEstimate, dataDir: storeSettings.DATA_DIR, signal },
      options: (fields) => askOptions(current, fields),
      begun: {
        rows: (count) => Atomics.store(begun, BEGUN_ROWS, count),
        rejected: (count) => Atomics.store(begun, BEGUN_REJECTED, count),
      },
    });
    tell({ n, kind: 'done', result });
  } catch (error) {
    tell({ n, kind: 'failed', error: sendError(error) });
  } finally {
    if (running === current) running = undefined;
  }
}

/** The bytes of the upload. Those that are taken make room for others. */
async function* received(current: Running): AsyncGenerator<Buffer> {
  const { n, pieces, aborted } = current;
  let taken = 0;
  for (;;) {
    while (pieces.length === 0 && !aborted.signal.aborted)
      await new Promise<void>((resolve) => {
        current.wake = resolve;
      });
    aborted.signal.throwIfAborted();
    const piece = pieces.shift();
    if (piece === undefined) return;
    taken += piece.length;
    // Not each of them: telling wakes the main thread.
    if (taken >= TELL_BYTES) {
      tell({ n, kind: 'taken', bytes: taken });
      taken = 0;
    }
    yield piece;
  }
}

function askOptions(current: Running, fields: Readonly<Record<string, unknown>>): Promise<ImportOptions> {
  const { n, aborted } = current;
  return new Promise((resolve, reject) => {
    current.options = resolve;
    aborted.signal.addEventListener('abort', () => reject(aborted.signal.reason as Error), { once: true });
    tell({ n, kind: 'fields', fields });
  });
}
