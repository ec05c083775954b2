import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** A TCP server that speaks as a test tells it. */
export interface Receiver extends AsyncDisposable {
  readonly port: number;
  /** Connections that are open. */
  readonly open: ReadonlySet<Socket>;
  /** Connections that ever were. */
  readonly total: number;
}

/** @param onRequest is told when the head of a request has arrived, for each on its connection. */
export function openReceiver(onRequest: (socket: Socket, head: string) => void): Promise<Receiver> {
  const server = createServer((socket) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (let end = endOf(text); end !== undefined; end = endOf(text)) {
        const head = text.slice(0, end);
        text = text.slice(end);
        onRequest(socket, head);
      }
    });
  });
  return listen(server);
}

/** Where a request of which the body is known ends, if it is there as a whole. */
function endOf(text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n');
  if (head === -1) return undefined;
  const end = head + 4 + Number(/content-length: (\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
  return text.length >= end ? end : undefined;
}

/** Listens on 127.0.0.1, and knows the connections of the server. */
export async function listen(server: Server): Promise<Receiver> {
  const open = new Set<Socket>();
  let total = 0;
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    total++;
    socket.on('error', () => socket.destroy());
    socket.once('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    open,
    get total() {
      return total;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
