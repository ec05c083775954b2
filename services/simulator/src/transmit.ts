import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { systemClock } from '@renderyard/shared/clock';
import type { Answer } from './answer.ts';

/** How an answer is sent. */
export type Manner =
  | { readonly kind: 'whole' }
  /** The body in pieces of `chunkBytes`, one every `intervalMs`. */
  | { readonly kind: 'drip'; readonly chunkBytes: number; readonly intervalMs: number }
  /** The connection is closed after `bytes` bytes of the body; `framing` says how the end could have been known. */
  | { readonly kind: 'cut'; readonly framing: 'length' | 'chunk' | 'close'; readonly bytes: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' };

/** What became of an answer: `whole` was handed to the connection in full, which is not to say that it arrived. */
export type Outcome = 'whole' | 'cut' | 'hung' | 'reset' | 'client_gone';

/** One request and its answer's way back. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * Resolves when the response has the connection to itself. A client may send its next request before the last byte of the
 * answer before is off our hands; Node then holds the response back, and what is written past it would come too early.
 */
async function ownTurn({ response }: Exchange): Promise<void> {
  if (response.socket === null) await new Promise<unknown>((resolve) => response.once('socket', resolve));
}

/** The headers in Node's flat form, with the length; a length that a fault has set stands in its place. */
function framed({ headers, body }: Answer): string[] {
  const named = headers.some(([name]) => name === 'content-length');
  return [...headers, ...(named ? [] : [['content-length', String(body.length)]])].flat();
}

/** Resolves once the last byte is handed to the connection. */
function finish({ response }: Exchange, last?: Buffer): Promise<Outcome> {
  return new Promise((resolve) => {
    response.once('finish', () => resolve('whole'));
    response.end(last);
  });
}

function sendWhole(exchange: Exchange, answer: Answer): Promise<Outcome> {
  exchange.response.writeHead(answer.status, framed(answer));
  return finish(exchange, answer.body);
}

async function sendDripping(
  exchange: Exchange,
  answer: Answer,
  manner: Manner & { kind: 'drip' },
  signal: AbortSignal,
): Promise<Outcome> {
  const { response } = exchange;
  response.writeHead(answer.status, framed(answer));
  response.flushHeaders();
  for (let at = 0; at < answer.body.length; at += manner.chunkBytes) {
    response.write(answer.body.subarray(at, at + manner.chunkBytes));
    await systemClock.sleep(manner.intervalMs, signal);
    if (signal.aborted) return 'client_gone';
  }
  return finish(exchange);
}

/** Writes past Node's own framing, which would not let a message end early. */
function sendCut({ request: { socket } }: Exchange, answer: Answer, manner: Manner & { kind: 'cut' }): void {
  const framing = {
    length: ['content-length', String(answer.body.length)],
    chunk: ['transfer-encoding', 'chunked'],
    close: ['connection', 'close'],
  }[manner.framing];
  // A length that a fault has set has a meaning only where the length is the framing.
  const given = answer.headers.filter(([name]) => name !== 'content-length' || manner.framing === 'length');
  const added = [['date', new Date().toUTCString()], framing].filter(([name]) => given.every(([one]) => one !== name));
  const head =
    `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ''}\r\n` +
    `${[...given, ...added].map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  const part = answer.body.subarray(0, manner.bytes);
  const body =
    manner.framing === 'chunk' && part.length > 0
      ? [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]
      : [part];
  socket.write(Buffer.concat([Buffer.from(head, 'latin1'), ...body]), () => socket.destroySoon());
}

/** Sends an answer in its manner. Resolves when no more will be sent, or when the connection is gone. */
export async function transmit(exchange: Exchange, answer: Answer, manner: Manner): Promise<Outcome> {
  const { socket } = exchange.request;
  if (socket.destroyed) return 'client_gone';
  const closing = new AbortController();
  const onClose = () => closing.abort();
  socket.once('close', onClose);
  // What it means when the connection ends before anything else settles this.
  let meaning: Outcome = 'client_gone';
  const closed = new Promise<Outcome>((resolve) => {
    closing.signal.addEventListener('abort', () => resolve(meaning), { once: true });
  });
  const attempt = async (): Promise<Outcome> => {
    await ownTurn(exchange);
    switch (manner.kind) {
      case 'whole':
        return sendWhole(exchange, answer);
      case 'drip':
        return sendDripping(exchange, answer, manner, closing.signal);
      case 'cut':
        meaning = 'cut';
        sendCut(exchange, answer, manner);
        return closed;
      case 'hang':
        meaning = 'hung';
        return closed;
      case 'reset':
        // Node is shutting down what the client has ended. A reset then fails within libuv, and `close` never comes.
        if (!socket.writable) {
          socket.destroy();
          return 'client_gone';
        }
        socket.resetAndDestroy();
        return 'reset';
    }
  };
  try {
    return await Promise.race([attempt(), closed]);
  } finally {
    socket.off('close', onClose);
  }
}
