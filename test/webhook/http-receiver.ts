import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { listen } from './receiver.ts';

/** A webhook as it arrived. */
export interface Received {
  /** Milliseconds since 1970, by our clock. */
  readonly at: number;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** `webhook-id`. */
  readonly id: string;
  readonly body: string;
  // biome-ignore lint/suspicious/noExplicitAny: what came over the wire, looked at by the test
  readonly json: any;
  /** What was answered; undefined until then. */
  status: number | undefined;
}

/** How a webhook is answered: a status, or by whoever is given the answer. Undefined: never. */
type Answering = number | ((response: ServerResponse) => void) | undefined;

/** A receiver of webhooks that notes what arrives, and answers as it is told: 200 at first. */
export interface HttpReceiver extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly received: readonly Received[];
  /** From now on. It is asked when a request has arrived as a whole. */
  answer(how: Answering | ((received: Received, response: ServerResponse) => Answering | Promise<Answering>)): void;
  /** Those that arrived, one entry for each id. */
  readonly ids: ReadonlySet<string>;
}

export async function openHttpReceiver(): Promise<HttpReceiver> {
  const received: Received[] = [];
  let how: Parameters<HttpReceiver['answer']>[0] = 200;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('error', () => undefined);
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', async () => {
      const { headers, url = '' } = request;
      const id = String(headers['webhook-id']);
      const one: Received = {
        ...{ at: Date.now(), path: url, headers, id, body, json: JSON.parse(body) },
        status: undefined,
      };
      received.push(one);
      const answering = typeof how === 'function' && how.length > 0 ? how : undefined;
      const told = answering === undefined ? (how as Answering) : await answering(one as never, response);
      if (typeof told === 'number') response.writeHead(told).end();
      else (told as ((response: ServerResponse) => void) | undefined)?.(response);
      response.once('finish', () => {
        one.status = response.statusCode;
      });
    });
  });
  const listening = await listen(server);
  return {
    port: listening.port,
    url: `http://127.0.0.1:${listening.port}/hooks`,
    received,
    answer(next) {
      how = next;
    },
    get ids() {
      return new Set(received.map(({ id }) => id));
    },
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
}

/** What the official library reads of a webhook. @throws when it is not signed with the secret. */
export function verified(secret: string, { body, headers }: Received) {
  return new Webhook(secret).verify(body, headers as Record<string, string>) as {
    readonly type: string;
    readonly timestamp: string;
    readonly data: Readonly<Record<string, unknown>>;
  };
}
