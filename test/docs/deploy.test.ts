import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';

const read = (path: string) => readFileSync(join(REPOSITORY, path), 'utf8');
const page = read('docs/deploy.md');

/** The permission that each request of the S3 API needs (Amazon's “Required permissions for Amazon S3 API operations”). */
const PERMISSIONS: Readonly<Record<string, string>> = {
  DeleteObjectsCommand: 's3:DeleteObject',
  GetObjectCommand: 's3:GetObject',
  HeadBucketCommand: 's3:ListBucket',
  HeadObjectCommand: 's3:GetObject',
  ListObjectsV2Command: 's3:ListBucket',
  PutObjectCommand: 's3:PutObject',
};

test('the policy of the bucket allows just the requests that are made', () => {
  const block =
    [...page.matchAll(/```json\n([\s\S]+?)```/g)].find(([, text]) => text?.includes('"Statement"'))?.[1] ?? '';
  const { Statement } = JSON.parse(block) as { readonly Statement: readonly { readonly Action: string | string[] }[] };
  const made = new Set(read('packages/shared/src/store/s3-store.ts').match(/\b\w+Command\b/g));
  expect([...made].filter((command) => PERMISSIONS[command] === undefined)).toEqual([]);
  expect(Statement.flatMap(({ Action }) => Action).sort()).toEqual(
    [...new Set([...made].map((command) => PERMISSIONS[command]))].sort(),
  );
});
