/** Rows that are turned into text at a time: some 50 kB, a few milliseconds during which nothing else is answered. */
const SLICE = 200;

/** A head and rows as pieces of UTF-8. The head comes with the first rows: once these could be read, or there are none. */
export async function* asText<T>(
  head: string,
  parts: AsyncIterable<readonly T[]>,
  textOf: (rows: readonly T[]) => string,
): AsyncGenerator<Uint8Array> {
  let text = head;
  for await (const rows of parts) {
    for (let from = 0; from < rows.length; from += SLICE) {
      yield Buffer.from(text + textOf(rows.slice(from, from + SLICE)));
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}
