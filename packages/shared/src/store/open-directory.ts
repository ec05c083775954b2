import { join } from 'node:path';
import { createDirectoryStore } from './directory-store.ts';
import type { Store } from './store.ts';

export interface DirectorySettings {
  readonly DATA_DIR: string;
  /** Base of the links, without a "/" at its end. */
  readonly publicUrl: string;
  /** Signs the links. */
  readonly signingKey: Uint8Array;
}

/** The store in the folder `store` of `DATA_DIR`. Apart from `openStore`, so that a thread need not load the SDK of S3. */
export function openDirectory({ DATA_DIR, publicUrl, signingKey }: DirectorySettings): Store {
  return createDirectoryStore({ directory: join(DATA_DIR, 'store'), publicUrl, signingKey });
}
