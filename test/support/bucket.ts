import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { inject } from 'vitest';
import type { S3Server } from './provided.ts';

/** A bucket that is a test's own, and how a process finds it. */
export interface TestBucket {
  readonly name: string;
  readonly server: S3Server;
  /** The settings that a service needs to use it, `S3_PREFIX` aside. */
  readonly env: Readonly<Record<string, string>>;
  /** A client with path style and checksums only where S3 demands them; close it with `destroy`. */
  client(): S3Client;
}

function newClient({ endpoint, region, accessKeyId, secretAccessKey }: S3Server): S3Client {
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

/** Makes an empty bucket on the run's S3 server, which starts now if it does not run yet. */
export async function freshBucket(): Promise<TestBucket> {
  const server = inject('s3');
  const name = `test-${randomBytes(8).toString('hex')}`;
  const client = newClient(server);
  try {
    await client.send(new CreateBucketCommand({ Bucket: name }));
  } finally {
    client.destroy();
  }
  return {
    name,
    server,
    env: {
      S3_BUCKET: name,
      S3_FORCE_PATH_STYLE: 'true',
      AWS_REGION: server.region,
      AWS_ENDPOINT_URL_S3: server.endpoint,
      AWS_ACCESS_KEY_ID: server.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.secretAccessKey,
    },
    client: () => newClient(server),
  };
}

/** A prefix that nobody else uses, with its closing slash. */
export function freshPrefix(): string {
  return `${randomBytes(8).toString('hex')}/`;
}
