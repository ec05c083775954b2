import { connect, createServer, type Socket } from 'node:net';

/** A way to Redis on which connections break, and answers are late. */
export interface RedisProxy extends AsyncDisposable {
  /** Leads to the Redis that was given, by the same login. */
  readonly url: string;
  /** How many connections are open. */
  readonly open: number;
  /** Resets the next connection that is made. Resolves when it was. */
  resetNext(): Promise<void>;
  /**
   * Lets no answer through on the first connection that sends `text`, from that command on. Resolves when it was sent;
   * Redis does all the same what it is told.
   */
  hold(text: string): Promise<void>;
  /** Lets through what was held, and everything after. */
  release(): void;
}

/** @param redisUrl of one server, over plain TCP. */
export async function openRedisProxy(redisUrl: string): Promise<RedisProxy> {
  const target = new URL(redisUrl);
  const sockets = new Set<Socket>();
  let reset: (() => void) | undefined;
  let awaited: { readonly text: string; readonly held: () => void } | undefined;
  let release = () => {};

  const server = createServer((client) => {
    if (reset !== undefined) {
      client.resetAndDestroy();
      reset();
      reset = undefined;
      return;
    }
    const upstream = connect({ host: target.hostname, port: Number(target.port) });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    upstream.pipe(client);
    let sent = '';
    client.on('data', (chunk) => {
      if (awaited !== undefined) {
        sent += chunk.toString('latin1');
        if (sent.includes(awaited.text)) {
          upstream.unpipe(client);
          release = () => upstream.pipe(client);
          awaited.held();
          awaited = undefined;
        }
      }
      upstream.write(chunk);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('A TCP server without a port.');
  const url = new URL(redisUrl);
  url.host = `127.0.0.1:${address.port}`;

  return {
    url: url.href,
    get open() {
      return sockets.size / 2;
    },
    resetNext: () =>
      new Promise((resolve) => {
        reset = resolve;
      }),
    hold: (text) =>
      new Promise((resolve) => {
        awaited = { text, held: resolve };
      }),
    release: () => release(),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
