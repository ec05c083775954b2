import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { App } from '../app-instance.ts';

/** A client that takes nothing of an answer for this long has lost interest; Node notices within twice the time. */
const STALL_MS = 30_000;
/** The same while the server closes, and for what is missing of a request. */
const CLOSING_STALL_MS = 1_500;
/** While the server closes, a connection without a request is ended after one to two of these. */
const CLOSING_LOOK_MS = 250;

interface Connection {
  /** The answers that have not been sent whole. */
  readonly inHand: Set<ServerResponse>;
  /** Had no request when it was looked at last, while the server closes. */
  wasIdle: boolean;
}

/**
 * Ends connections whose client keeps them open and does not go on: it would hold a file, or the end of the process,
 * for as long as it likes. Requests that the server itself works on are left alone, however long they take.
 * @param stallMs milliseconds without a byte taken; 30 s if left out.
 */
export function endStuckConnections(app: App, { stallMs = STALL_MS }: { readonly stallMs?: number | undefined }): void {
  const connections = new Map<Socket, Connection>();
  let closing = false;
  const watch = (socket: Socket): Connection => {
    const known = connections.get(socket);
    if (known !== undefined) return known;
    const connection: Connection = { inHand: new Set(), wasIdle: false };
    connections.set(socket, connection);
    socket.once('close', () => connections.delete(socket));
    return connection;
  };
  app.server.on('connection', watch);

  app.addHook('onRequest', async ({ raw: request }, { raw: response }) => {
    // Under the name localhost there is a second server, whose connections are met here for the first time.
    const { inHand } = watch(request.socket);
    inHand.add(response);
    response.once('close', () => inHand.delete(response));
    // With a listener of ours Node leaves it to us what becomes of a connection on which nothing moves.
    response.setTimeout(closing ? CLOSING_STALL_MS : stallMs, () => {
      const waitsForClient = request.socket.writableLength > 0 || (closing && !request.complete);
      if (waitsForClient) request.socket.destroy();
    });
  });

  app.addHook('preClose', async () => {
    closing = true;
    for (const { inHand } of connections.values()) for (const response of inHand) response.setTimeout(CLOSING_STALL_MS);
    if (!app.server.listening) return;
    // Node ends those that had a request, but not those that never had one, or only the begin of one.
    const looking = setInterval(() => {
      for (const [socket, connection] of connections) {
        const isIdle = connection.inHand.size === 0;
        if (isIdle && connection.wasIdle) socket.destroy();
        connection.wasIdle = isIdle;
      }
    }, CLOSING_LOOK_MS);
    app.server.once('close', () => clearInterval(looking));
  });
}
