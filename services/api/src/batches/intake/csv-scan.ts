const QUOTE = 0x22;
const LF = 0x0a;
const CR = 0x0d;

/** What lies between the beginning of a record and its end, or where the bytes end. */
export interface Scan {
  /** Where the record's line break begins; undefined when it is not among the bytes. */
  readonly end: number | undefined;
  /** Line breaks inside of quotes. */
  readonly breaks: number;
  /** Index of the first field with a quote that is neither its limit nor doubled; undefined where there is none. */
  readonly bareField: number | undefined;
  /** Where the quoted field begins in which the bytes end; undefined when they end in no quoted field. */
  readonly openQuote: number | undefined;
  /** How often each byte that delimits was met outside of quotes, by byte. */
  readonly delimiters: Uint32Array;
}

/**
 * Goes over one record as csv-parse does with `relax_quotes`: a field that begins with a quote is quoted until a single
 * quote; when neither a delimiter nor a line break follows, it never was a quoted field, and goes on to the next delimiter.
 * @param delimiters the bytes that end a field; several while it is not known which one does.
 */
export function scanRecord(bytes: Uint8Array, from: number, to: number, delimiters: readonly number[]): Scan {
  const counts = new Uint32Array(256);
  const isEnd = (byte: number | undefined) =>
    byte === undefined || byte === LF || byte === CR || delimiters.includes(byte);
  let breaks = 0;
  let field = 0;
  let bareField: number | undefined;
  let openQuote: number | undefined;
  let atStart = true;
  let at = from;
  for (; at < to; at++) {
    const byte = bytes[at] as number;
    if (openQuote !== undefined) {
      if (byte === LF || (byte === CR && bytes[at + 1] !== LF)) breaks++;
      if (byte !== QUOTE) continue;
      const next = at + 1 < to ? bytes[at + 1] : undefined;
      if (next === QUOTE) at++;
      else {
        openQuote = undefined;
        if (!isEnd(next)) bareField ??= field;
      }
    } else if (byte === LF || byte === CR) break;
    else if (delimiters.includes(byte)) {
      counts[byte] = (counts[byte] as number) + 1;
      field++;
      atStart = true;
      continue;
    } else if (byte === QUOTE) {
      if (atStart) openQuote = at;
      else bareField ??= field;
    }
    atStart = false;
  }
  return { end: at < to ? at : undefined, breaks, bareField, openQuote, delimiters: counts };
}
