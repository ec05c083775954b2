import type { Api } from '../api/running-api.ts';

/** An event as a client that keeps to the standard reads it. */
export interface ReceivedEvent {
  readonly event: string;
  /** The last event id once it was read. */
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: what came over the wire, looked at by the test
  readonly data: any;
}

export interface EventClient extends AsyncDisposable {
  readonly status: number;
  readonly headers: Headers;
  readonly events: readonly ReceivedEvent[];
  /** What EventSource would send as Last-Event-ID. */
  readonly lastId: string;
  readonly comments: number;
  readonly retry: number | undefined;
  /** All that came, as it came. */
  readonly text: string;
  /** Resolves with the first event that fits. @throws once the stream has ended without one. */
  event(fits: (event: ReceivedEvent) => boolean): Promise<ReceivedEvent>;
  /** Resolves when the check is true, looked at after every piece. @throws once the stream has ended before. */
  until(check: () => boolean): Promise<void>;
  /** Resolves when the server has ended the stream; `cut` when it broke the connection. */
  readonly ended: Promise<'ended' | 'cut'>;
  /** Leaves. */
  close(): void;
}

/** Watches events over HTTP, and parses them as the HTML standard, "Server-sent events", has it. Use it with `await using`. */
export async function watchEvents(
  api: Pick<Api, 'url'>,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventClient> {
  const left = new AbortController();
  const response = await fetch(new URL(path, api.url), { headers, signal: left.signal });
  const events: ReceivedEvent[] = [];
  const waiting = new Set<() => void>();
  let [text, rest, lastId, comments] = ['', '', headers['last-event-id'] ?? '', 0];
  let retry: number | undefined;
  let over = false;
  /** The id counts once its block is whole. */
  let block = { event: '', id: undefined as string | undefined, data: [] as string[] };

  function readLine(line: string): void {
    if (line === '') {
      lastId = block.id ?? lastId;
      if (block.data.length > 0)
        events.push({ event: block.event || 'message', id: lastId, data: JSON.parse(block.data.join('\n')) });
      block = { event: '', id: undefined, data: [] };
    } else if (line.startsWith(':')) comments += 1;
    else {
      const [, field, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
      if (field === 'event') block.event = value;
      else if (field === 'data') block.data.push(value);
      else if (field === 'id') block.id = value;
      else if (field === 'retry') retry = Number(value);
    }
  }

  const ended = (async () => {
    try {
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        const piece = decoder.decode(chunk, { stream: true });
        text += piece;
        const lines = (rest + piece).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) readLine(line);
        for (const wake of waiting) wake();
      }
      return 'ended' as const;
    } catch {
      return 'cut' as const;
    } finally {
      over = true;
      for (const wake of waiting) wake();
    }
  })();

  const client: EventClient = {
    status: response.status,
    headers: response.headers,
    events,
    get lastId() {
      return lastId;
    },
    get comments() {
      return comments;
    },
    get retry() {
      return retry;
    },
    get text() {
      return text;
    },
    async until(check) {
      while (!check()) {
        if (over) throw new Error(`The stream has ended in vain after:\n${text.slice(-2000)}`);
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake);
            resolve();
          };
          waiting.add(wake);
        });
      }
    },
    async event(fits) {
      await client.until(() => events.some(fits));
      return events.find(fits) as ReceivedEvent;
    },
    ended,
    close: () => left.abort(),
    [Symbol.asyncDispose]: async () => {
      left.abort();
      await ended;
    },
  };
  return client;
}

/** Fits events of one type. */
export const ofType = (type: string) => (event: ReceivedEvent) => event.event === type;
