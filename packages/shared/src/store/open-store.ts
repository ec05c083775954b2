import { systemClock } from '../clock.ts';
import { createApiLink } from './api-link.ts';
import { type DirectorySettings, openDirectory } from './open-directory.ts';
import { createS3Store } from './s3-store.ts';
import type { Store } from './store.ts';

/** The bucket, if there is one. */
export interface OpenStoreSettings extends DirectorySettings {
  readonly S3_BUCKET: string | undefined;
  readonly S3_PREFIX: string | undefined;
  readonly S3_FORCE_PATH_STYLE: boolean;
  /** Who hands out what lies in the bucket: S3 itself, by links that it signs, or the API, for a bucket out of reach. */
  readonly IMAGE_LINKS?: 'store' | 'api';
}

/**
 * The store that the settings name: the bucket, or without one the folder `store` in `DATA_DIR`. Nothing is read or
 * written yet; `check` says whether it works.
 * @throws {StoreError} `invalid` for a prefix that no key can have.
 */
export function openStore(settings: OpenStoreSettings): Store {
  const { S3_BUCKET, S3_PREFIX, S3_FORCE_PATH_STYLE, IMAGE_LINKS, publicUrl, signingKey } = settings;
  if (S3_BUCKET === undefined) return openDirectory(settings);
  const store = createS3Store({
    bucket: S3_BUCKET,
    forcePathStyle: S3_FORCE_PATH_STYLE,
    ...(S3_PREFIX === undefined ? {} : { prefix: S3_PREFIX }),
  });
  return IMAGE_LINKS !== 'api'
    ? store
    : { ...store, link: createApiLink({ publicUrl, signingKey, clock: systemClock }) };
}
