import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { listen } from '../webhook/receiver.ts';

/** Stands before a server, passes all on, and keeps what the heads of requests said. */
export interface Witness extends AsyncDisposable {
  readonly url: string;
  readonly heads: readonly { readonly method: string; readonly path: string; readonly headers: IncomingHttpHeaders }[];
}

export async function openWitness(target: string): Promise<Witness> {
  const heads: Witness['heads'][number][] = [];
  const server = createServer((asked, answer) => {
    const { method = '', url: path = '', headers } = asked;
    heads.push({ method, path, headers });
    const onward = request(new URL(path, target), { method, headers, agent: false }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    asked.pipe(onward);
  });
  const { port, ...listening } = await listen(server);
  return { ...listening, url: `http://127.0.0.1:${port}`, heads };
}
