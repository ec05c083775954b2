// Receives webhooks of Renderyard with nothing but Node. Node 22.18 or newer runs this file as it is.
//
//   WEBHOOK_SECRET=whsec_… PORT=9000 node receiver.ts

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { env, exit, stderr, stdout } from 'node:process';
import { readSecret, verifyWebhook } from './verify.ts';

/** Renderyard sends less than 20,000 bytes. */
const MOST_BYTES = 65_536;

const secret = env.WEBHOOK_SECRET ?? '';
try {
  readSecret(secret);
} catch (error) {
  stderr.write(`${String(error)}\n`);
  exit(2);
}

/** Ids of events that were handled. In earnest: a unique column of your database, written with what the event changes. */
const handled = new Set<string>();

const server = createServer((request, response) => {
  receive(request).then(
    (status) => {
      // What is left of a body that is too large is not read.
      if (status !== 204) response.setHeader('connection', 'close');
      response.writeHead(status).end();
    },
    () => response.destroy(),
  );
});
server.listen(Number(env.PORT || 9000), '127.0.0.1', () => {
  stdout.write(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});

/** The status of the answer: 2xx says that the event has arrived and is not to be sent again. */
async function receive(request: IncomingMessage): Promise<number> {
  if (request.method !== 'POST') return 405;
  const body = await readBody(request);
  if (body === undefined) return 413;
  const header = (name: string) => String(request.headers[name] ?? '');
  const id = header('webhook-id');
  try {
    const [timestamp, signature] = [header('webhook-timestamp'), header('webhook-signature')];
    verifyWebhook({ id, timestamp, signature, body }, secret);
  } catch (error) {
    stderr.write(`refused: ${String(error)}\n`);
    return 401;
  }
  const event = JSON.parse(body.toString('utf8')) as { readonly type: string };
  // At least once means: sometimes twice. The id is the same then.
  if (handled.has(id)) return 204;
  handled.add(id);
  // Answer first, work later: whatever takes long belongs into a queue.
  stdout.write(`${id} ${event.type}\n`);
  return 204;
}

/** The body as it came; undefined if it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The connection stays, so that it can carry the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
