import type { IncomingMessage } from 'node:http';

/** The most that the body of a request may have. */
export const MOST_BODY_BYTES = 1024 * 1024;

/** Reads a whole body. `too_large` and `gone` (the client left) come with what was read until then. */
export function readBody(
  request: IncomingMessage,
): Promise<{ readonly end: 'whole' | 'too_large' | 'gone'; readonly body: Buffer }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const done = (end: 'whole' | 'too_large' | 'gone') => {
      request.off('data', take);
      resolve({ end, body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks) });
    };
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MOST_BODY_BYTES) return done('too_large');
      chunks.push(chunk);
    };
    request.on('data', take);
    request.once('end', () => done('whole'));
    request.once('close', () => done('gone'));
    request.once('error', () => done('gone'));
  });
}
