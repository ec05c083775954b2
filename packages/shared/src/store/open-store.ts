import { join } from 'node:path';
import { createDirectoryStore } from './directory-store.ts';
import { createS3Store } from './s3-store.ts';
import type { Store } from './store.ts';

export interface OpenStoreSettings {
  readonly S3_BUCKET: string | undefined;
  readonly S3_PREFIX: string | undefined;
  readonly S3_FORCE_PATH_STYLE: boolean;
  readonly DATA_DIR: string;
  /** Base of the links of the directory store, without a "/" at its end. */
  readonly publicUrl: string;
  /** Signs the links of the directory store. S3 signs its own. */
  readonly signingKey: Uint8Array;
}

/**
 * The store that the settings name: the bucket, or without one the folder `store` in `DATA_DIR`. Nothing is read or
 * written yet; `check` says whether it works.
 * @throws {StoreError} `invalid` for a prefix that no key can have.
 */
export function openStore(settings: OpenStoreSettings): Store {
  const { S3_BUCKET, S3_PREFIX, S3_FORCE_PATH_STYLE, DATA_DIR, publicUrl, signingKey } = settings;
  if (S3_BUCKET === undefined)
    return createDirectoryStore({ directory: join(DATA_DIR, 'store'), publicUrl, signingKey });
  return createS3Store({
    bucket: S3_BUCKET,
    forcePathStyle: S3_FORCE_PATH_STYLE,
    ...(S3_PREFIX === undefined ? {} : { prefix: S3_PREFIX }),
  });
}
