import { createServer, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { listen } from './receiver.ts';

/** A webhook as it arrived. */
export interface Arrival {
  /** Milliseconds since 1970, when its last byte was here. */
  readonly at: number;
  readonly path: string;
  /** `webhook-id`: of the event. */
  readonly id: string;
  readonly body: string;
}

/** A receiver of webhooks that keeps what it was told, in the order in which it came. */
export interface Listener extends AsyncDisposable {
  /** Where it listens: `http://127.0.0.1:<port>`. */
  readonly url: string;
  readonly arrivals: readonly Arrival[];
}

/** @param answer ends the response, now or later. Without it each is taken with 204 at once. */
export async function openListener(
  answer: (response: ServerResponse, arrival: Arrival) => void = (response) => response.writeHead(204).end(),
): Promise<Listener> {
  const arrivals: Arrival[] = [];
  const server = createServer((request, response) => {
    text(request).then(
      (body) => {
        const { url: path = '', headers } = request;
        const arrival = { at: Date.now(), path, id: String(headers['webhook-id']), body };
        arrivals.push(arrival);
        answer(response, arrival);
      },
      // Whoever sent it died, and sends it again.
      () => response.destroy(),
    );
  });
  const { port, ...listening } = await listen(server);
  return { ...listening, url: `http://127.0.0.1:${port}`, arrivals };
}
