import { connect, createServer, type Socket } from 'node:net';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** A port that leads to a server which is started by the first connection. */
export interface LazyForward {
  readonly port: number;
  /** Ends every connection and stops listening. */
  close(): Promise<void>;
}

/**
 * Listens at once and forwards bytes, untouched, to whatever address `start` gives. Connections that come while the
 * server starts wait for it; when it cannot start they are reset, and `onError` is told why, once.
 */
export async function createLazyForward(
  start: () => Promise<Address>,
  onError: (error: unknown) => void,
): Promise<LazyForward> {
  const sockets = new Set<Socket>();
  let started: Promise<Address | undefined> | undefined;
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.once('close', () => sockets.delete(socket));
    // The other side is told by the pipe's end; the error itself is nobody's concern.
    socket.on('error', () => socket.destroy());
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (incoming) => {
    track(incoming);
    started ??= start().catch((error: unknown) => {
      onError(error);
      return undefined;
    });
    void started.then((address) => {
      if (address === undefined) return incoming.resetAndDestroy();
      if (incoming.destroyed) return;
      const outgoing = connect({ host: address.host, port: address.port, allowHalfOpen: true });
      track(outgoing);
      incoming.pipe(outgoing).pipe(incoming);
      incoming.once('close', () => outgoing.destroy());
      outgoing.once('close', () => incoming.destroy());
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('A TCP server without a port.');
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
