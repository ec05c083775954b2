import type { Readable } from 'node:stream';
import type { Worker } from 'node:worker_threads';
import { UploadError } from '../upload-error.ts';
import { pumpBytes } from './byte-pump.ts';
import type { ImportOptions, ImportResult } from './import-job.ts';
import { receiveError } from './sent-error.ts';
import type { FromThread, ThreadAnswer, ToThread } from './thread-messages.ts';

/** How long a thread may take to end an import that is given up. */
const ABORT_MS = 2_000;

/** An upload, with the headers that say what it is, as they came. */
export interface Upload {
  readonly body: Readable;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly filename?: string | undefined;
}

export interface ImportRequest {
  readonly batch: string;
  /** Part of the names of the upload's parts. */
  readonly upload: string;
  /**
   * How to read the rows, given the options that the body holds: fields of a form, members beside `items`; none for
   * other bodies. Called once. What it throws ends the import, and is thrown by it.
   */
  readonly options: (fields: Readonly<Record<string, unknown>>) => ImportOptions | Promise<ImportOptions>;
}

/** How an import ended. A thread that is not `fit` is not to be used again. */
export type ImportOutcome =
  | { readonly kind: 'done'; readonly fit: true; readonly result: ImportResult }
  | { readonly kind: 'failed'; readonly fit: boolean; readonly error: unknown };

type Answer = ThreadAnswer | { readonly kind: 'crashed' | 'hangs'; readonly error: unknown };

/**
 * Has one upload imported by a thread. It resolves when the thread has nothing more to do with it, or is unfit.
 * @param n of this import, another for each.
 * @param begun where the thread counts the parts that it begins.
 */
export async function importInThread({
  worker,
  n,
  upload,
  request,
  begun,
  signal,
}: {
  readonly worker: Worker;
  readonly n: number;
  readonly upload: Upload;
  readonly request: ImportRequest;
  readonly begun: Int32Array;
  readonly signal: AbortSignal;
}): Promise<ImportOutcome> {
  const { body, contentType, contentEncoding, filename } = upload;
  const { batch, upload: nonce } = request;
  const tell = (message: ToThread, transfer: ArrayBuffer[] = []) => worker.postMessage(message, transfer);
  let givenUp: { readonly reason: unknown } | undefined;
  let hangs: NodeJS.Timeout | undefined;
  let answer: (answer: Answer) => void = () => {};
  const answered = new Promise<Answer>((resolve) => {
    answer = resolve;
  });

  const giveUp = (reason: unknown): void => {
    if (givenUp !== undefined) return;
    givenUp = { reason };
    pump.stop();
    tell({ n, kind: 'abort' });
    hangs = setTimeout(() => answer({ kind: 'hangs', error: reason }), ABORT_MS);
  };
  const onAbort = () => giveUp(signal.reason);
  const giveOptions = async (fields: Readonly<Record<string, unknown>>): Promise<void> => {
    try {
      tell({ n, kind: 'options', options: await request.options(fields) });
    } catch (error) {
      giveUp(error);
    }
  };
  const onMessage = (message: FromThread): void => {
    if (message.n !== n) return;
    if (message.kind === 'taken') pump.taken(message.bytes);
    else if (message.kind === 'fields') void giveOptions(message.fields);
    else answer(message);
  };
  const onError = (error: unknown) => answer({ kind: 'crashed', error });
  const onExit = (code: number) => onError(new Error(`The thread of an import ended with code ${code}.`));

  worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  tell({ n, kind: 'begin', job: { batch, upload: nonce, contentType, contentEncoding, filename }, begun });
  const pump = pumpBytes(body, {
    send: (bytes) => tell({ n, kind: 'bytes', bytes }, [bytes.buffer]),
    end: () => tell({ n, kind: 'end' }),
    fail: (cause) => giveUp(new UploadError('upload_incomplete', undefined, { cause })),
  });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return toOutcome(await answered, givenUp);
  } finally {
    pump.stop();
    clearTimeout(hangs);
    signal.removeEventListener('abort', onAbort);
    worker.off('message', onMessage).off('error', onError).off('exit', onExit);
  }
}

function toOutcome(answer: Answer, givenUp: { readonly reason: unknown } | undefined): ImportOutcome {
  const failed = (fit: boolean, error: unknown): ImportOutcome => ({
    kind: 'failed',
    fit,
    error: givenUp === undefined ? error : givenUp.reason,
  });
  switch (answer.kind) {
    case 'done':
      return givenUp === undefined ? { kind: 'done', fit: true, result: answer.result } : failed(true, undefined);
    case 'failed':
      return failed(true, receiveError(answer.error));
    case 'crashed':
      return failed(false, new UploadError('import_failed', undefined, { cause: answer.error }));
    case 'hangs':
      return failed(false, answer.error);
  }
}
