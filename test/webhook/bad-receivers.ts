import type { ServerResponse } from 'node:http';
import { type Listener, openListener } from './listener.ts';

const HUGE_BYTES = 100 * 1024 ** 2;
const CHUNK = Buffer.alloc(64 * 1024, 'a');
/** Nobody listens at port 1 (tcpmux). */
const NOBODY = 'http://127.0.0.1:1';

/** Receivers that are no good, by what is wrong with them, and those that are running of them. */
export interface BadReceivers extends AsyncDisposable {
  readonly urls: Readonly<Record<'down' | 'slow' | 'redirecting' | 'huge' | 'closing', string>>;
  readonly listeners: Readonly<Record<'slow' | 'redirecting' | 'huge' | 'closing', Listener>>;
}

/**
 * Opens a receiver that refuses connections, one that is slow, one that answers with a redirect, one that answers with
 * 100 MB, and one that closes the connection without an answer.
 * @param answerSlowly ends the slow one's response, later or never.
 */
export async function openBadReceivers(answerSlowly: (response: ServerResponse) => void): Promise<BadReceivers> {
  const [slow, redirecting, huge, closing] = await Promise.all([
    openListener(answerSlowly),
    openListener((response) => response.writeHead(302, { location: '/elsewhere' }).end()),
    openListener((response) => pour(response.writeHead(200, { 'content-length': HUGE_BYTES }), HUGE_BYTES)),
    openListener((response) => response.destroy()),
  ]);
  const listeners = { slow, redirecting, huge, closing };
  return {
    urls: { down: NOBODY, slow: slow.url, redirecting: redirecting.url, huge: huge.url, closing: closing.url },
    listeners,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(Object.values(listeners).map((listener) => listener[Symbol.asyncDispose]()));
    },
  };
}

/** Writes as much as the other side takes, until it is all or the other side has gone. */
function pour(response: ServerResponse, left: number): void {
  if (left <= 0) return void response.end();
  response.write(CHUNK.subarray(0, left), (error) => {
    if (!error) pour(response, left - CHUNK.length);
  });
}
