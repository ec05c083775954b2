import type { Job } from '@renderyard/shared/job/job';
import { type FoundImage, imageOf } from '@renderyard/shared/job/stored-image';
import type { Logger } from '@renderyard/shared/logger';
import type { ObjectBody, PutOptions, Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';

/** Where a paid image goes, and whose it is. */
export interface ImagePlace {
  readonly job: Pick<Job, 'id' | 'imageKey'>;
  /** The call that brought it. */
  readonly call: string;
  /** Without a dot. */
  readonly extension: string;
}

/**
 * Puts a paid image into the store, under the job's own key. No object is ever replaced: the first image of a job
 * stays, and where something else lies at its key the image goes beside it, under a key that only its call has.
 * @returns the key at which it lies now; or the job's image of another call, which was there first.
 * @throws {StoreError}
 */
export async function placeImage(
  { store, logger }: { readonly store: Store; readonly logger: Logger },
  { job, call, extension }: ImagePlace,
  body: ObjectBody,
  options: Omit<PutOptions, 'ifAbsent'>,
): Promise<{ readonly key: string } | { readonly earlier: FoundImage }> {
  const asked = options.signal === undefined ? {} : { signal: options.signal };
  const own = `${job.imageKey}.${extension}`;
  const beside = `${job.imageKey}.${call}.${extension}`;
  for (const key of [own, beside]) {
    if ((await store.put(key, body, { ...options, ifAbsent: true })) === 'stored') {
      if (key === beside)
        logger.warn(
          { job: job.id, call, key, taken: own },
          'another object has the key of an image, which goes beside it',
        );
      return { key };
    }
    const there = await store.head(key, asked);
    const earlier = there && imageOf(there, job.id);
    if (earlier !== undefined) return { earlier };
  }
  // Nobody else writes there: what was there is gone by now.
  throw new StoreError('unavailable', `The store has an object at ${beside} and then has none.`);
}
