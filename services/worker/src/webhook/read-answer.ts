import { redact } from '@renderyard/shared/redact';

/** Bytes of an answer that are read; with the rest of it the connection goes away. */
const MOST_BYTES = 64 * 1024;
/** Characters of it that are kept. */
const MOST_CHARACTERS = 500;

/** The beginning of an answer, fit to be read by people, and why it has no end, where it broke off. */
export interface ReadAnswer {
  readonly text: string;
  readonly cut?: unknown;
}

/** Reads at most 64 kB, then leaves the loop, which destroys the body. Never throws: a status decides without a body. */
export async function readAnswer(body: AsyncIterable<Uint8Array>): Promise<ReadAnswer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let broken: { readonly cut: unknown } | undefined;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= MOST_BYTES) break;
    }
  } catch (cut) {
    broken = { cut };
  }
  return { text: toText(Buffer.concat(chunks).subarray(0, MOST_BYTES)), ...broken };
}

/**
 * The first 500 characters of an answer, on one line: what controls a terminal or the direction of writing, and what is
 * no UTF-8, is replaced (U+FFFD), and secrets are hidden.
 */
function toText(bytes: Uint8Array): string {
  const text = new TextDecoder()
    .decode(bytes)
    .replace(/[\t\r\n]+/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\ufffd');
  // Hidden before it is cut: half a secret looks like none.
  return redact(text).slice(0, MOST_CHARACTERS).toWellFormed();
}
