import { createHash } from 'node:crypto';
import type { Image } from '@renderyard/shared/job/job';
import type { Store } from '@renderyard/shared/store/store';

/** An image up to this size is read into memory and sent from there; a larger one is read twice. */
export const WHOLE_BYTES = 8 * 1024 * 1024;

/** An image of the store that was found to be as it was stored. */
export interface CheckedImage {
  read(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * Reads an image from the store and compares it with what was recorded when it was stored, before any byte of it is
 * sent. A large one is read twice, the second time as it is sent, and compared again.
 * @throws {Error} when it is missing or another one. @throws {StoreError} when it cannot be read.
 */
export async function checkImage(store: Store, image: Image, signal: AbortSignal): Promise<CheckedImage> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of comparedBytes(store, image, signal)) {
    if (image.bytes <= WHOLE_BYTES) chunks.push(chunk);
  }
  return {
    read: () => (image.bytes <= WHOLE_BYTES ? chunks : comparedBytes(store, image, signal)),
  };
}

async function* comparedBytes(store: Store, image: Image, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const object = await store.get(image.key, { signal });
  if (object === undefined) throw new Error(`The store has lost the image ${image.key}.`);
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of object.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    // Before it is taken: an object that was replaced may have any size.
    if (bytes > image.bytes) break;
    hash.update(chunk);
    yield chunk;
  }
  if (bytes !== image.bytes || hash.digest('hex') !== image.sha256)
    throw new Error(`The image ${image.key} is not the one that was stored: its bytes or their SHA-256 differ.`);
}
