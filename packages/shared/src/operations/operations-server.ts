import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Check } from '../health/readiness.ts';
import type { Logger } from '../logger.ts';

/** What is scraped, in the format that its content type names. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

export interface OperationsServer {
  /** Where it listens, such as `http://127.0.0.1:9464`. */
  readonly url: string;
  /** Stops listening, and breaks off what is being answered. */
  close(): Promise<void>;
}

/** A request must have arrived, and an answer be taken, in this time: nobody watches as slowly. */
const REQUEST_MS = 5_000;
/** Watchers are few. */
const MOST_CONNECTIONS = 100;
const PATHS: readonly string[] = ['/metrics', '/health/live', '/health/ready'];
const TEXT = 'text/plain; charset=utf-8';

/**
 * A small server beside the work, for those who watch over a process: `/health/live`, `/health/ready` and `/metrics`,
 * without a key. It answers from before the start until the last phase of stopping.
 * @param port 0 takes a free one.
 * @param metrics undefined, or resolving to undefined: there are none, which is a 404.
 * @throws {Error} when it cannot listen, in words that name METRICS_HOST and METRICS_PORT.
 */
export async function startOperationsServer({
  host,
  port,
  metrics,
  readiness,
  logger,
}: {
  readonly host: string;
  readonly port: number;
  readonly metrics?: () => Promise<Exposition | undefined>;
  readonly readiness: () => Promise<readonly Check[]>;
  readonly logger: Logger;
}): Promise<OperationsServer> {
  const answer = async (path: string): Promise<readonly [status: number, contentType: string, body: string]> => {
    if (path === '/health/live') return [200, 'application/json', '{"status":"live"}'];
    if (path === '/health/ready') {
      const checks = await readiness();
      const ready = checks.every((check) => check.ok);
      return [ready ? 200 : 503, 'application/json', JSON.stringify({ status: ready ? 'ready' : 'not_ready', checks })];
    }
    const exposition = await metrics?.();
    return exposition === undefined
      ? [404, TEXT, 'There are no metrics.\n']
      : [200, exposition.contentType, exposition.body];
  };

  const listener: RequestListener = ({ method = '', url = '', headers }, response) => {
    // A body is not read, and what follows it could not be told from it.
    if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined)
      response.setHeader('connection', 'close');
    const path = url.split('?', 1)[0] ?? '';
    if (!PATHS.includes(path)) return send(response, 404, TEXT, `Here are ${PATHS.join(', ')}.\n`);
    if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return send(response, 405, TEXT, 'Use GET.\n');
    }
    answer(path).then(
      ([status, contentType, body]) => send(response, status, contentType, body),
      (error: unknown) => {
        logger.warn({ err: error, path }, 'those who watch over this process could not be answered');
        send(response, 500, TEXT, 'This could not be found out.\n');
      },
    );
  };
  const server = createServer(
    {
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      keepAliveTimeout: REQUEST_MS,
      connectionsCheckingInterval: 1_000,
    },
    listener,
  );
  server.maxConnections = MOST_CONNECTIONS;
  // Of silence: a watcher that takes nothing of its answer.
  server.timeout = 2 * REQUEST_MS;

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new Error(whyNot(error, host, port), { cause: error })));
    server.listen(port, host, resolve);
  });
  server.on('error', (error) => logger.warn({ err: error }, 'the server of metrics and health reports an error'));
  const { port: taken } = server.address() as AddressInfo;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${taken}`;
  logger.info({ url }, 'metrics and health are served');
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  if (response.destroyed) return;
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  // Node leaves the body of an answer to HEAD out.
  response.end(body);
}

function whyNot(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `METRICS_PORT ${port} is taken by another process. Set it to a free one.`;
    case 'EACCES':
      return `METRICS_PORT ${port} may not be listened on. Set it to one from 1024 on.`;
    default:
      return `Nothing can listen at METRICS_HOST ${host} and METRICS_PORT ${port}: ${error.message}`;
  }
}
