import { createServer } from 'node:http';

/**
 * A receiver of webhooks that keeps what it was sent: `POST /hooks/…` is kept and answered with 204, or with the next
 * of the statuses that `POST /answers` was given for its path; `GET /received` lists all. It runs beside the yard, as a
 * process or in a container, where the workers reach it.
 */
interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const received: Received[] = [];
const answers = new Map<string, number[]>();

const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('end', () => {
    const path = request.url ?? '/';
    const body = Buffer.concat(pieces).toString('utf8');
    if (path === '/received') {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(received));
    } else if (path === '/answers') {
      for (const [of, statuses] of Object.entries(JSON.parse(body) as Record<string, number[]>))
        answers.set(of, statuses);
      response.writeHead(204).end();
    } else {
      if (request.method === 'POST') received.push({ path, headers: request.headers as Received['headers'], body });
      response.writeHead(answers.get(path)?.shift() ?? 204).end();
    }
  });
});
server.listen(Number(process.env.PORT), process.env.HOST);
process.on('SIGTERM', () => process.exit(0));
