import type { App } from '../app-instance.ts';

/** How long the rest of an upload is read, and thrown away, after it was answered. */
const LINGER_MS = 5_000;

/**
 * An upload that is refused is answered before all of it was read. Closing the connection at once would take the answer
 * from a client that still sends, so what comes is thrown away for a while, and the connection is closed then.
 */
export function endBrokenUploads(app: App): void {
  app.addHook('onSend', async ({ raw }, reply) => {
    if (raw.complete) return;
    reply.raw.once('finish', () => {
      raw.resume();
      const lingering = setTimeout(() => raw.socket.destroy(), LINGER_MS).unref();
      for (const event of ['end', 'close']) raw.once(event, () => clearTimeout(lingering));
    });
  });
}
