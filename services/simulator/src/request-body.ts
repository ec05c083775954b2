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
      request.off('data', take).off('end', onEnd).off('close', onGone).off('error', onGone);
      // A failure later on concerns the answer, not the body.
      request.on('error', () => undefined);
      // Always a copy: what arrives are views of large buffers, which a log of small bodies must not keep alive.
      resolve({ end, body: Buffer.concat(chunks) });
    };
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MOST_BODY_BYTES) return done('too_large');
      chunks.push(chunk);
    };
    const onEnd = () => done('whole');
    const onGone = () => done('gone');
    request.on('data', take).on('end', onEnd).on('close', onGone).on('error', onGone);
  });
}

/** Parses a body. JSON comes in UTF-8 (RFC 8259, 8.1); a byte order mark or a broken sequence is not that, and gives undefined. */
export function parseJson(body: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)) };
  } catch {
    return undefined;
  }
}
