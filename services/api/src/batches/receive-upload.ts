import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { ProblemError } from '../errors/problem-error.ts';

/** An upload as it arrives. */
export interface ReceivedUpload {
  /** The bytes of the body. It fails when the sender goes away, or sends nothing for too long. */
  readonly body: Readable;
  /** Aborts for the same reasons, also while nobody reads. */
  readonly signal: AbortSignal;
  /** Why the body failed; undefined while it did not. */
  readonly problem: ProblemError | undefined;
  /** Reads no more: the request is answered. What still comes is left to others. */
  stop(): void;
}

/**
 * Receives the body of a request. A sender is timed only while we wait for it: one that is kept back, because what it
 * sent before is still being worked on, is not slow.
 * @param idleMs milliseconds without a byte, after which the sender is given up.
 */
export function receiveUpload(raw: IncomingMessage, { idleMs }: { readonly idleMs: number }): ReceivedUpload {
  const broken = new AbortController();
  const stopped = new AbortController();
  let problem: ProblemError | undefined;
  const fail = (reason: ProblemError) => {
    problem ??= reason;
    broken.abort(problem);
    return problem;
  };
  const incomplete = () => fail(new ProblemError('upload_incomplete'));
  raw.on('error', () => undefined);
  raw.once('close', () => {
    if (!raw.complete) incomplete();
  });

  async function* chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      stopped.signal.throwIfAborted();
      const chunk = raw.read() as Buffer | null;
      if (chunk !== null) yield chunk;
      else if (raw.readableEnded) return;
      else if (raw.destroyed) throw incomplete();
      else if (!(await moves(raw, idleMs, stopped.signal)))
        throw fail(
          new ProblemError(
            'request_timeout',
            `Nothing of the upload came for ${idleMs / 1000} s. Nothing was made; send it again.`,
          ),
        );
    }
  }
  const body = Readable.from(chunks(), { objectMode: false });
  // It may fail when nobody reads it any more, which must not end the process.
  body.on('error', () => undefined);
  return {
    body,
    signal: broken.signal,
    get problem() {
      return problem;
    },
    stop: () => stopped.abort(new Error('The upload was answered.')),
  };
}

/** Waits until there is something to read, the end, or nothing more to wait for. Returns false when nothing came in time. */
async function moves(raw: IncomingMessage, idleMs: number, stopped: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const late = setTimeout(() => over.abort(), idleMs);
  const signal = AbortSignal.any([over.signal, stopped]);
  try {
    await Promise.race(['readable', 'end', 'close'].map((event) => once(raw, event, { signal })));
    return true;
  } catch {
    // The connection broke or the request was answered, which is found out next, or the time is over.
    return !over.signal.aborted;
  } finally {
    clearTimeout(late);
    over.abort();
  }
}
