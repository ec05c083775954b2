/** Values as lines of JSON (NDJSON), with a line feed after each. */
export function toLines(values: Iterable<unknown>): Buffer {
  let text = '';
  for (const value of values) text += `${JSON.stringify(value)}\n`;
  return Buffer.from(text);
}

/** @throws {SyntaxError} for a line that is no JSON. */
export function parseLines<T>(text: string): T[] {
  const values: T[] = [];
  for (const line of text.split('\n')) if (line !== '') values.push(JSON.parse(line) as T);
  return values;
}
