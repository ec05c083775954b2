import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { BatchView, ResultRow } from '@renderyard/standalone/demo/batch-view';
import { BATCH_ID, batchView, batchWith, resultRow } from './views.ts';

/** What the API is to answer. */
export interface Script {
  /** The batch as it is seen, one after the other; the last one stays. */
  readonly seen?: readonly BatchView[];
  readonly rows?: readonly ResultRow[];
  /** Batches that are there already. */
  readonly earlier?: readonly BatchView[];
  /** The balance as it is read, one after the other; the last one stays. */
  readonly balances?: readonly (number | null)[];
  /** The key that every request must bring. */
  readonly key?: string;
  /** Rows whose image is not there. */
  readonly lost?: readonly number[];
  /** Answers of 503 before the first good one, of every route. */
  readonly outages?: number;
  /** Answers instead of the upload's 202. */
  readonly refusal?: { readonly status: number; readonly problem: Readonly<Record<string, unknown>> };
}

/** A request as it came. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Buffer;
  readonly headers: IncomingMessage['headers'];
}

const THREE = [1, 2, 3].map((row) => resultRow(row));

/** The batch's side of the API, by a script: what the demo asks for, and nothing else. */
export function answerBy(script: Script) {
  const requests: Request[] = [];
  const seen = [...(script.seen ?? [batchView()])];
  const balances = [...(script.balances ?? [10])];
  const outages = new Map<string, number>();
  const next = <T>(list: T[]): T => (list.length > 1 ? list.shift() : list[0]) as T;

  const answer = ({ method, path, query, headers }: Request): { status: number; body: unknown } => {
    if (script.key !== undefined && headers.authorization !== `Bearer ${script.key}`)
      return { status: 401, body: { detail: 'A valid API key is needed.' } };
    const route = `${method} ${path}`;
    const left = outages.get(route) ?? script.outages ?? 0;
    if (left > 0) {
      outages.set(route, left - 1);
      return { status: 503, body: { detail: 'Redis does not answer.' } };
    }
    const image = /^\/v1\/jobs\/job_01jd0000000000000000000000_(\d+)\/image$/.exec(path)?.[1];
    if (image !== undefined)
      return script.lost?.includes(Number(image)) === true
        ? { status: 404, body: { detail: 'The store has lost the image.' } }
        : { status: 200, body: Buffer.from(`image ${image}`) };
    switch (route) {
      case 'POST /v1/batches':
        if (script.refusal !== undefined) return { status: script.refusal.status, body: script.refusal.problem };
        if (query.get('dry_run') === 'true')
          return {
            status: 200,
            body: batchWith({}, { estimate: { ...batchView().estimate, cost: 0.5, seconds: 44 } }),
          };
        return { status: 202, body: batchWith({ succeeded: 0 }, { status: 'running', cost: 0 }) };
      case `GET /v1/batches/${BATCH_ID}`:
        return { status: 200, body: next(seen) };
      case 'GET /v1/batches':
        return {
          status: 200,
          body: { data: (script.earlier ?? []).filter(({ status }) => status === query.get('status')) },
        };
      case `GET /v1/batches/${BATCH_ID}/results.ndjson`:
        return {
          status: 200,
          body: Buffer.from((script.rows ?? THREE).map((row) => `${JSON.stringify(row)}\n`).join('')),
        };
      case 'GET /v1/credits':
        return { status: 200, body: { object: 'credits', balance: next(balances), floor: 2 } };
      default:
        return { status: 404, body: { detail: `There is no ${path}.` } };
    }
  };

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://api');
    const request: Request = {
      method: incoming.method ?? '',
      path: pathname,
      query: searchParams,
      body: Buffer.concat(chunks),
      headers: incoming.headers,
    };
    requests.push(request);
    const { status, body } = answer(request);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(Buffer.isBuffer(body) ? body : JSON.stringify(body));
  };
  return { requests, handle };
}

/** Serves {@link answerBy} on a port of its own. */
export async function startFakeApi(script: Script = {}) {
  const { requests, handle } = answerBy(script);
  const server = createServer((incoming, response) => void handle(incoming, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
