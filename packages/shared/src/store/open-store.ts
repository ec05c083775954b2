import { type DirectorySettings, openDirectory } from './open-directory.ts';
import { createS3Store } from './s3-store.ts';
import type { Store } from './store.ts';

/** The bucket, if there is one. S3 signs its own links. */
export interface OpenStoreSettings extends DirectorySettings {
  readonly S3_BUCKET: string | undefined;
  readonly S3_PREFIX: string | undefined;
  readonly S3_FORCE_PATH_STYLE: boolean;
}

/**
 * The store that the settings name: the bucket, or without one the folder `store` in `DATA_DIR`. Nothing is read or
 * written yet; `check` says whether it works.
 * @throws {StoreError} `invalid` for a prefix that no key can have.
 */
export function openStore(settings: OpenStoreSettings): Store {
  const { S3_BUCKET, S3_PREFIX, S3_FORCE_PATH_STYLE } = settings;
  if (S3_BUCKET === undefined) return openDirectory(settings);
  return createS3Store({
    bucket: S3_BUCKET,
    forcePathStyle: S3_FORCE_PATH_STYLE,
    ...(S3_PREFIX === undefined ? {} : { prefix: S3_PREFIX }),
  });
}
