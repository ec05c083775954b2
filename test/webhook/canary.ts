import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server that notes who comes. */
export interface Canary extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Connections that arrived, whether or not something was sent on them. */
  readonly connections: number;
  /** Requests that arrived. */
  readonly requests: readonly { readonly headers: IncomingHttpHeaders; readonly body: string }[];
}

/**
 * Listens at one address of this machine, and answers everything with 200. Undefined where this machine does not have
 * the address, or the port is taken.
 * @param port 0 for any that is free.
 */
export async function openCanary(host: string, port = 0): Promise<Canary | undefined> {
  let connections = 0;
  const requests: { headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      requests.push({ headers: request.headers, body });
      response.end('found');
    });
  });
  server.on('connection', () => {
    connections++;
  });
  const listening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ host, port, ipv6Only: host === '::' }, () => resolve(true));
  });
  if (!listening) return undefined;
  return {
    host,
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    requests,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
