import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What happens to one request:
 * - `pass`: it is answered by the server behind.
 * - `fail`: the server behind never sees it, and a 500 comes back.
 * - `cut`: the connection breaks once the first bytes of the body have come.
 * - `lose`: the server behind does it, but its answer is lost.
 * - `hang`: nothing ever comes back.
 */
export type Fate = 'pass' | 'fail' | 'cut' | 'lose' | 'hang';

export interface S3Proxy extends AsyncDisposable {
  readonly endpoint: string;
  /** The methods of the requests that came, in their order. */
  readonly seen: readonly string[];
}

/** A network that fails on purpose: forwards requests, as they are, to an S3 server, or lets them meet their fate. */
export async function startS3Proxy(
  target: string,
  fate: (request: IncomingMessage, nth: number) => Fate,
): Promise<S3Proxy> {
  const seen: string[] = [];
  const { hostname, port } = new URL(target);
  const forward = (incoming: IncomingMessage, outgoing: ServerResponse, lose: boolean) => {
    const { method, url, rawHeaders } = incoming;
    const onward = request({ hostname, port, method, path: url, headers: rawHeaders, agent: false }, (answer) => {
      if (lose) {
        answer.resume().once('end', () => outgoing.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
      answer.pipe(outgoing);
    });
    onward.once('error', () => outgoing.destroy());
    incoming.pipe(onward);
  };
  const server = createServer((incoming, outgoing) => {
    seen.push(incoming.method ?? '');
    switch (fate(incoming, seen.length)) {
      case 'pass':
        return forward(incoming, outgoing, false);
      case 'lose':
        return forward(incoming, outgoing, true);
      case 'cut':
        return void incoming.once('data', () => incoming.socket.destroy());
      case 'hang':
        return void incoming.resume();
      case 'fail':
        incoming.resume().once('end', () => outgoing.writeHead(500).end('<Error><Code>InternalError</Code></Error>'));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
