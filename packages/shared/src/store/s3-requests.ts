import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { decodeMetadata } from './object-headers.ts';
import { keyProblem } from './object-key.ts';
import type { ByteRange, ObjectBody, ObjectInfo } from './store.ts';
import { StoreError } from './store-error.ts';

/**
 * Metadata that names the call which created an object, so that a 412 after a lost answer can be told from somebody
 * else's object. Readers of the store never see it.
 */
export const PUT_ID = 'renderyard-put';

/** S3's own limit of one PUT is 5 GiB. */
const MAX_PUT_BYTES = 5 * 2 ** 30;
/** Together with the longest key it stays below S3's 1,024 bytes. */
const MAX_PREFIX_BYTES = 100;

/** The fields of a HEAD's or a GET's answer that are used. */
interface ObjectAnswer {
  readonly ContentType?: string | undefined;
  readonly CacheControl?: string | undefined;
  readonly Metadata?: Record<string, string> | undefined;
  readonly ETag?: string | undefined;
  readonly LastModified?: Date | undefined;
}

/** `bytes` is the length of the whole object, which the answer to a range does not give as its own length. */
export function infoOf(key: string, answer: ObjectAnswer, bytes: number): ObjectInfo {
  const { [PUT_ID]: _, ...metadata } = decodeMetadata(answer.Metadata ?? {});
  return {
    key,
    bytes,
    contentType: answer.ContentType ?? 'application/octet-stream',
    metadata,
    etag: answer.ETag ?? '',
    modifiedAt: answer.LastModified ?? new Date(0),
    ...(answer.CacheControl === undefined ? {} : { cacheControl: answer.CacheControl }),
  };
}

/**
 * Returns the headers that say what a body must be on arrival. Bytes in memory are hashed by the signature; a stream
 * is not, so a file is read once before, which also notices one that is not as long as it was said to be.
 * @throws {StoreError} `invalid` for a wrong length, one above 5 GiB, or a file that cannot be read.
 */
export async function describeBody(
  body: ObjectBody,
  signal: AbortSignal | undefined,
): Promise<{ ContentLength: number; ContentMD5?: string }> {
  const announced = body instanceof Uint8Array ? body.byteLength : body.bytes;
  if (announced > MAX_PUT_BYTES)
    throw new StoreError(
      'invalid',
      `An object of ${announced} bytes cannot be stored: one PUT to S3 takes ${MAX_PUT_BYTES}.`,
    );
  if (body instanceof Uint8Array) return { ContentLength: announced };
  const hash = createHash('md5');
  let bytes = 0;
  try {
    await pipeline(
      createReadStream(body.path),
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          hash.update(chunk);
          bytes += chunk.byteLength;
        }
      },
      signal ? { signal } : {},
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw new StoreError('invalid', `The file ${body.path} cannot be read, so it cannot be stored.`, { cause: error });
  }
  if (bytes !== announced)
    throw new StoreError(
      'invalid',
      `The file ${body.path} has ${bytes} bytes, not the ${announced} it was said to have.`,
    );
  return { ContentLength: announced, ContentMD5: hash.digest('base64') };
}

/** The value of a Range header (RFC 9110, 14.2). */
export function rangeHeader(range: ByteRange): string {
  return 'suffix' in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ''}`;
}

/**
 * Returns the prefix as it is put before keys: '' or with one "/" at its end.
 * @throws {StoreError} `invalid` where no key can begin so.
 */
export function normalPrefix(prefix: string): string {
  const trimmed = prefix.replaceAll(/^\/+|\/+$/g, '');
  if (trimmed === '') return '';
  const problem =
    keyProblem(trimmed) ??
    (Buffer.byteLength(trimmed) > MAX_PREFIX_BYTES ? `is longer than ${MAX_PREFIX_BYTES} bytes` : undefined);
  if (problem !== undefined)
    throw new StoreError('invalid', `S3_PREFIX cannot be used: ${JSON.stringify(trimmed)} ${problem}.`);
  return `${trimmed}/`;
}
