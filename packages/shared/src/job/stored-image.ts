import { type Nanocredits, parseCredits } from '../credits/amount.ts';
import type { ObjectInfo, Store } from '../store/store.ts';
import type { Image } from './job.ts';

/** The extensions that images are stored with, the usual ones first. */
export const IMAGE_EXTENSIONS = ['jpg', 'png', 'webp', 'avif', 'gif', 'heif', 'tiff', 'jxl', 'bmp'] as const;
export type ImageExtension = (typeof IMAGE_EXTENSIONS)[number];

/** An image that lies in the store, and what its call has cost, where the upstream told. */
export interface FoundImage {
  readonly image: Image;
  readonly cost: Nanocredits | undefined;
  /** The call that brought it. */
  readonly call: string | undefined;
  /** Milliseconds since 1970. */
  readonly storedAt: number;
}

/**
 * The image of a job that lies in the store already, from a call whose end nobody recorded.
 * @param imageKey where it would lie, less the extension; the image of `call` may also lie beside it, where that was
 * taken
 * @throws {StoreError}
 */
export async function findImage(
  store: Store,
  imageKey: string,
  job: string,
  {
    extensions = IMAGE_EXTENSIONS,
    call,
    signal,
  }: { extensions?: readonly ImageExtension[]; call?: string; signal?: AbortSignal } = {},
): Promise<FoundImage | undefined> {
  const options = signal === undefined ? {} : { signal };
  const places = call === undefined ? [imageKey] : [imageKey, `${imageKey}.${call}`];
  const keys = places.flatMap((place) => extensions.map((extension) => `${place}.${extension}`));
  const infos = await Promise.all(keys.map((key) => store.head(key, options)));
  return infos.map((info) => info && imageOf(info, job)).find((found) => found !== undefined);
}

/** What an object's metadata tell of the image, as `imageMetadata` of the worker wrote them; undefined if it is not this job's. */
export function imageOf(info: ObjectInfo, job: string): FoundImage | undefined {
  const { metadata } = info;
  if (metadata.job !== job || metadata.sha256 === undefined) return undefined;
  return {
    image: {
      key: info.key,
      content_type: info.contentType,
      bytes: info.bytes,
      width: Number(metadata.width),
      height: Number(metadata.height),
      sha256: metadata.sha256,
      seed: Number(metadata.seed),
    },
    cost: parseCredits(metadata.cost ?? '', 'up'),
    call: metadata.call,
    storedAt: info.modifiedAt.getTime(),
  };
}
