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
}

/** Bytes that end a field, for `scanRecord`. */
export type Delimiters = Uint8Array;

export function delimitersOf(characters: Iterable<string>): Delimiters {
  const table = new Uint8Array(256);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

/**
 * Goes over one record as csv-parse does with `relax_quotes`: a field that begins with a quote is quoted until a single
 * quote; when neither a delimiter nor a line break follows, it never was a quoted field, and goes on to the next delimiter.
 * @param delimiters several while it is not known which one it is.
 * @param counts where it is counted how often each delimiter was met outside of quotes, by byte.
 */
export function scanRecord(
  bytes: Uint8Array,
  from: number,
  to: number,
  delimiters: Delimiters,
  counts?: Uint32Array,
): Scan {
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
        if (next !== undefined && next !== LF && next !== CR && delimiters[next] === 0) bareField ??= field;
      }
    } else if (byte === LF || byte === CR) break;
    else if (delimiters[byte] === 1) {
      if (counts !== undefined) counts[byte] = (counts[byte] ?? 0) + 1;
      field++;
      atStart = true;
      continue;
    } else if (byte === QUOTE) {
      if (atStart) openQuote = at;
      else bareField ??= field;
    }
    atStart = false;
  }
  return { end: at < to ? at : undefined, breaks, bareField, openQuote };
}
