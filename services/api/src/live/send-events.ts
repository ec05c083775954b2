import { Readable } from 'node:stream';
import { describeError } from '@renderyard/shared/describe-error';
import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * Sends pieces of `text/event-stream` as they come. No more are asked for than the connection takes: a few are buffered,
 * 128 KiB and one piece at most. A client that takes nothing for `stallMs` loses its connection; it goes on by the id of
 * the last event that it has. The pieces are ended with the connection.
 * @throws what the first piece throws.
 */
export async function sendEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  { pieces, stallMs }: { readonly pieces: AsyncGenerator<string>; readonly stallMs: number },
): Promise<FastifyReply> {
  const { socket } = request.raw;
  // A stream that is destroyed before it was read from does not end its source.
  const leave = () => void pieces.return(undefined).catch(() => undefined);
  if (reply.raw.closed) leave();
  else reply.raw.once('close', leave);
  const first = await pieces.next();

  async function* paced() {
    let stalled: NodeJS.Timeout | undefined;
    const watch = () => {
      stalled = setTimeout(() => {
        request.record.dropped = 'slow reader';
        socket.destroy();
      }, stallMs).unref();
    };
    try {
      for (let next = first; next.done !== true; next = await pieces.next()) {
        watch();
        yield next.value;
        clearTimeout(stalled);
      }
    } catch (error) {
      Object.assign(request.record, { broken_off: true, err: describeError(error) });
      throw error;
    } finally {
      clearTimeout(stalled);
    }
  }
  return reply
    .header('x-accel-buffering', 'no')
    .type('text/event-stream; charset=utf-8')
    .send(Readable.from(paced(), { objectMode: false }));
}
