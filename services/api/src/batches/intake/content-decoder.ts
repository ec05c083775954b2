import type { Hash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { UploadError } from '../upload-error.ts';
import { SLICE_BYTES } from './limits.ts';

type Bytes = AsyncIterable<Buffer>;

/** The magic bytes of gzip, with its only method (RFC 1952, 2.3.1). */
const GZIP = Buffer.from([0x1f, 0x8b, 0x08]);

/** @throws {UploadError} `unsupported_encoding` for anything but none, identity and gzip. */
export function isGzip(contentEncoding: string | undefined): boolean {
  const name = (contentEncoding ?? '').trim().toLowerCase();
  if (name === '' || name === 'identity') return false;
  if (name === 'gzip' || name === 'x-gzip') return true;
  throw new UploadError(
    'unsupported_encoding',
    `Content-Encoding ${JSON.stringify(name.slice(0, 60))} is not known here. Send the file as it is, or with gzip.`,
    { value: name },
  );
}

/**
 * @throws {UploadError} `broken_gzip` for a stream that is damaged, cut short or followed by something else, and
 * `upload_too_large` as soon as more than `most` bytes came out.
 */
export async function* gunzip(bytes: Bytes, most: number): Bytes {
  const unzip = createGunzip({ chunkSize: SLICE_BYTES });
  // Each side's error is thrown by the loop below.
  pipeline(Readable.from(bytes, { objectMode: false }), unzip, () => {});
  try {
    yield* capped(unzip as Bytes, most);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('Z_')) throw error;
    throw new UploadError(
      'broken_gzip',
      `The gzip stream is damaged, cut short or followed by something else (${message}). Compress the file again.`,
      { cause: error },
    );
  } finally {
    unzip.destroy();
  }
}

/** Passes bytes on. @throws {UploadError} `upload_too_large` as soon as they are more than `most`. */
export async function* capped(bytes: Bytes, most: number): Bytes {
  let total = 0;
  for await (const piece of bytes) {
    total += piece.length;
    if (total > most)
      throw new UploadError(
        'upload_too_large',
        `The upload is larger than ${most} bytes (MAX_UPLOAD_BYTES), counted uncompressed. Split it into several batches.`,
      );
    yield piece;
  }
}

/** Undoes gzip where the bytes begin like it, whatever their name or type says. */
export async function* gunzipIfMagic(bytes: Bytes, most: number): Bytes {
  const iterator = bytes[Symbol.asyncIterator]();
  const pieces: Buffer[] = [];
  let length = 0;
  while (length < GZIP.length) {
    const next = await iterator.next();
    if (next.done) break;
    pieces.push(next.value);
    length += next.value.length;
  }
  const head = Buffer.concat(pieces);
  const all = prepend(head, iterator);
  yield* head.subarray(0, GZIP.length).equals(GZIP) ? gunzip(all, most) : capped(all, most);
}

async function* prepend(head: Buffer, rest: AsyncIterator<Buffer>): Bytes {
  try {
    yield head;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** Passes bytes on in slices, and adds them to a hash. */
export async function* hashed(bytes: Bytes, hash: Hash): Bytes {
  for await (const piece of bytes) {
    hash.update(piece);
    for (let at = 0; at < piece.length; at += SLICE_BYTES) yield piece.subarray(at, at + SLICE_BYTES);
  }
}
