import type { Json, Yard } from './yard.ts';

/** One server-sent event. */
export interface StreamEvent {
  readonly event: string;
  readonly id: string;
  readonly data: Json;
}

/**
 * The events of a stream, until the server ends it, as the HTML standard, "Server-sent events", has them read.
 * @throws {Error} for any answer but 200.
 */
export async function* watch(yard: Yard, path: string): AsyncGenerator<StreamEvent> {
  const answer = await yard.call('GET', path, { headers: { accept: 'text/event-stream' } });
  if (answer.status !== 200 || answer.body === null)
    throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  let rest = '';
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split('\n')
          .filter((line) => line.startsWith(`${name}:`))
          .map((line) => line.slice(name.length + 1).replace(/^ /, ''))
          .join('\n');
      // A comment has none.
      if (field('data') !== '') yield { event: field('event'), id: field('id'), data: JSON.parse(field('data')) };
    }
  }
}

/** All of them, once the server has ended the stream. */
export async function watchToTheEnd(yard: Yard, path: string): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of watch(yard, path)) events.push(event);
  return events;
}
