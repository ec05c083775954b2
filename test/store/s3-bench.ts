import { createS3Store } from '@renderyard/shared/store/s3-store';
import { freshBucket, freshPrefix, type TestBucket } from '../support/bucket.ts';
import type { Bench } from './bench.ts';

let bucket: Promise<TestBucket> | undefined;

export async function openS3Bench(options: { readonly endpoint?: string } = {}): Promise<Bench & { name: string }> {
  bucket ??= freshBucket();
  const { name, server } = await bucket;
  const store = createS3Store({ ...s3Options(server), ...options, bucket: name, prefix: freshPrefix() });
  return { name, store, follow: (link, init) => fetch(link, init), [Symbol.asyncDispose]: () => store.close() };
}

/** What names the server of the tests to a store. */
export function s3Options({ endpoint, region, accessKeyId, secretAccessKey }: TestBucket['server']) {
  return { endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true };
}
