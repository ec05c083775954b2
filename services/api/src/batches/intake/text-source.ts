/** Reads one format: takes valid UTF-8 without byte order mark, in pieces of at most SLICE_BYTES. */
export interface TextSource {
  /** @throws {UploadError} as soon as the text cannot become a batch. */
  push(text: Buffer): Promise<void>;
  /** Says that there is no more. @throws {UploadError} */
  end(): Promise<void>;
  /** The line on which the next piece begins, from 1. */
  line(): number;
}

const LF = 0x0a;
const CR = 0x0d;

/** Line breaks in bytes: LF, CRLF and CR count one each. */
export function countBreaks(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let breaks = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at];
    if (byte === LF || (byte === CR && bytes[at + 1] !== LF)) breaks++;
  }
  return breaks;
}
