import { finished, type Readable } from 'node:stream';

/** Bytes that may wait in the thread: some slices, so that it never waits for us. */
const MOST_WAITING = 1024 * 1024;
/** A message is at most so large. */
const PIECE_BYTES = 256 * 1024;

/**
 * Sends a body on as it comes, and holds it back while too much of it waits. The body is never destroyed here: whoever
 * received it has to answer on the same connection.
 */
export function pumpBytes(
  body: Readable,
  {
    send,
    end,
    fail,
  }: {
    /** Takes bytes that nobody else holds. */
    readonly send: (bytes: Uint8Array<ArrayBuffer>) => void;
    readonly end: () => void;
    /** Told when the body breaks off. */
    readonly fail: (error: Error) => void;
  },
) {
  let waiting = 0;
  let stopped = false;

  const onData = (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      // Copied, since the memory below a chunk of a socket may hold what is not ours to give away.
      const piece = new Uint8Array(chunk.subarray(at, at + PIECE_BYTES));
      waiting += piece.length;
      send(piece);
    }
    if (waiting > MOST_WAITING) body.pause();
  };
  const forget = finished(body, { writable: false }, (error) => (error ? fail(error) : end()));
  body.on('data', onData);

  return {
    /** So many bytes no longer wait. */
    taken(bytes: number): void {
      waiting -= bytes;
      if (!stopped && waiting <= MOST_WAITING) body.resume();
    },

    /** Leaves the body as it is, paused. */
    stop(): void {
      stopped = true;
      forget();
      body.off('data', onData);
      body.pause();
    },
  };
}
