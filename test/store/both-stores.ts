import type { Bench } from './bench.ts';
import { openDirectoryBench } from './directory-bench.ts';
import { openS3Bench } from './s3-bench.ts';

/** Every store there is; what one promises, all keep. */
export const STORES: readonly (readonly [name: string, open: () => Promise<Bench>])[] = [
  ['S3', openS3Bench],
  ['the directory', openDirectoryBench],
];
