import { Readable } from 'node:stream';
import { describeError } from '@renderyard/shared/describe-error';
import { attachmentDisposition } from '@renderyard/shared/store/object-headers';
import type { FastifyReply, FastifyRequest } from 'fastify';

export interface Download {
  readonly filename: string;
  readonly contentType: string;
  /** What is sent, piece by piece. @param signal aborts when the client is gone. */
  pieces(signal: AbortSignal): AsyncGenerator<Uint8Array>;
}

/**
 * Sends a file as it is made. What fails before the first piece is answered with a problem. After that the connection
 * is cut, so that the client sees that the file is not whole, and the request's log record tells why.
 */
export async function sendDownload(
  request: FastifyRequest,
  reply: FastifyReply,
  { filename, contentType, pieces }: Download,
): Promise<FastifyReply> {
  const gone = new AbortController();
  if (reply.raw.closed) gone.abort();
  else reply.raw.once('close', () => gone.abort());
  const made = pieces(gone.signal);
  const first = await made.next();

  async function* told() {
    try {
      if (first.done !== true) yield first.value;
      yield* made;
    } catch (error) {
      if (!gone.signal.aborted) Object.assign(request.record, { broken_off: true, err: describeError(error) });
      throw error;
    }
  }
  return reply
    .header('content-disposition', attachmentDisposition(filename))
    .type(contentType)
    .send(Readable.from(told(), { objectMode: false }));
}
