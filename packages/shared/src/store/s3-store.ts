import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { assertHeaders, assertLink, encodeMetadata, inlineDisposition } from './object-headers.ts';
import { assertKey, assertPrefix, keyProblem, PROBE_KEY } from './object-key.ts';
import { assertRange } from './object-range.ts';
import { s3CodeError, s3Status, toS3Error } from './s3-error.ts';
import { describeBody, infoOf, normalPrefix, PUT_ID, rangeHeader } from './s3-requests.ts';
import type { ListOptions, Store } from './store.ts';
import { StoreError } from './store-error.ts';
import { withAttempts } from './with-attempts.ts';

/** What one listing or one deletion of S3 takes. */
const PAGE = 1000;
/** Connecting takes two round trips; 5 s is a host that does not answer. */
const CONNECT_TIMEOUT_MS = 5_000;
/** How long nothing may move on a connection, while sending, waiting or receiving. */
const IDLE_TIMEOUT_MS = 60_000;
/** A request that waits for a free connection counts as connecting, so there must be more than are ever used at once. */
const MAX_CONNECTIONS = 256;

const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface S3StoreOptions {
  readonly bucket: string;
  /** Put before every key, with a "/" between. At most 100 bytes. */
  readonly prefix?: string;
  readonly forcePathStyle?: boolean;
  /** These three are read from the environment, profiles or roles by the SDK where they are left out. */
  readonly endpoint?: string;
  readonly region?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/**
 * A store in an S3 bucket. The bucket must exist, honour `If-None-Match: *`, and allow listing: without that, S3
 * answers 403 and not 404 for what is missing. Every put is one request; there are no multipart uploads to clean up.
 * @throws {StoreError} `invalid` for a prefix that no key can have.
 */
export function createS3Store(options: S3StoreOptions): Store {
  const Bucket = options.bucket;
  const prefix = normalPrefix(options.prefix ?? '');
  const client = new S3Client(clientConfig(options));
  let conditionalPutsWork = false;

  const send = async <T>(action: string, signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> =>
    withAttempts(signal, async () => {
      try {
        return await call();
      } catch (error) {
        throw toS3Error(error, action);
      }
    });

  const head: Store['head'] = async (key, { signal } = {}) => {
    assertKey(key);
    return send(`Looking up ${key}`, signal, async () => {
      try {
        const answer = await client.send(new HeadObjectCommand({ Bucket, Key: prefix + key }), abort(signal));
        return infoOf(key, answer, answer.ContentLength ?? 0);
      } catch (error) {
        if (s3Status(error) !== 404) throw error;
        await assertBucket(signal);
        return undefined;
      }
    });
  };

  /** A HEAD has no body, so a missing object and a missing bucket look alike. Only the latter must not pass in silence. */
  const assertBucket = async (signal: AbortSignal | undefined) => {
    try {
      await client.send(new HeadBucketCommand({ Bucket }), abort(signal));
    } catch (error) {
      if (s3Status(error) === 404)
        throw new StoreError('not_found_bucket', `There is no bucket ${Bucket}. Create it, or correct S3_BUCKET.`, {
          cause: error,
        });
      if (s3Status(error) !== 403) throw error;
    }
  };

  /** Which call created the object that is in the way of a conditional one. */
  const creatorOf = async (key: string, signal: AbortSignal | undefined) => {
    try {
      const answer = await client.send(new HeadObjectCommand({ Bucket, Key: prefix + key }), abort(signal));
      return answer.Metadata?.[PUT_ID];
    } catch (error) {
      if (s3Status(error) !== 404) throw error;
      throw new StoreError('unavailable', `${key} was there, so it was not created, and has just been deleted.`);
    }
  };

  const put: Store['put'] = async (key, body, { contentType, metadata, cacheControl, ifAbsent, signal }) => {
    assertKey(key);
    assertHeaders({ contentType, ...(cacheControl === undefined ? {} : { cacheControl }) });
    const id = randomUUID();
    const Metadata = { ...encodeMetadata(metadata ?? {}), ...(ifAbsent ? { [PUT_ID]: id } : {}) };
    const integrity = await describeBody(body, signal);
    return send(`Storing ${key}`, signal, async () => {
      const stream = body instanceof Uint8Array ? undefined : createReadStream(body.path);
      // The SDK does not listen for it before it sends: a file that is gone by now would end the process.
      const unreadable = Promise.withResolvers<never>();
      stream?.once('error', (cause) =>
        unreadable.reject(
          new StoreError('invalid', `The file ${stream.path} cannot be read, so it cannot be stored.`, { cause }),
        ),
      );
      try {
        const input = {
          ...integrity,
          Bucket,
          Key: prefix + key,
          Body: stream ?? (body as Uint8Array),
          ContentType: contentType,
          Metadata,
          ...(cacheControl === undefined ? {} : { CacheControl: cacheControl }),
          ...(ifAbsent ? { IfNoneMatch: '*' } : {}),
        };
        await Promise.race([client.send(new PutObjectCommand(input), abort(signal)), unreadable.promise]);
        return 'stored';
      } catch (error) {
        if (!ifAbsent || s3Status(error) !== 412) throw error;
        return (await creatorOf(key, signal)) === id ? 'stored' : 'exists';
      } finally {
        stream?.destroy();
      }
    });
  };

  const get: Store['get'] = async (key, { range, signal } = {}) => {
    assertKey(key);
    if (range !== undefined) assertRange(range);
    const Range = range === undefined ? {} : { Range: rangeHeader(range) };
    return send(`Reading ${key}`, signal, async () => {
      try {
        const answer = await client.send(new GetObjectCommand({ Bucket, Key: prefix + key, ...Range }), abort(signal));
        const body = answer.Body as Readable;
        const part = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.ContentRange ?? '');
        if (range !== undefined && part === null) {
          body.destroy();
          throw new StoreError('unsupported', `Reading a range of ${key} failed: the object store ignores Range.`);
        }
        const info = infoOf(key, answer, part === null ? (answer.ContentLength ?? 0) : Number(part[3]));
        return part === null ? { info, body } : { info, body, range: { start: Number(part[1]), end: Number(part[2]) } };
      } catch (error) {
        if (s3Status(error) === 404 && (error as Error).name === 'NoSuchKey') return undefined;
        throw error;
      }
    });
  };

  async function* list(under: string, { after, limit = Number.POSITIVE_INFINITY, signal }: ListOptions = {}) {
    assertPrefix(under);
    let left = limit;
    let token: string | undefined;
    while (left > 0) {
      const input = {
        Bucket,
        Prefix: prefix + under,
        MaxKeys: Math.min(PAGE, left),
        ...(after === undefined ? {} : { StartAfter: prefix + after }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      };
      const page = await send(`Listing ${under}`, signal, () =>
        client.send(new ListObjectsV2Command(input), abort(signal)),
      );
      for (const { Key, Size = 0, ETag = '', LastModified = new Date(0) } of page.Contents ?? []) {
        const key = Key?.slice(prefix.length) ?? '';
        if (key === PROBE_KEY || keyProblem(key) !== undefined) continue;
        yield { key, bytes: Size, etag: ETag, modifiedAt: LastModified };
        if (--left <= 0) return;
      }
      token = page.NextContinuationToken;
      if (token === undefined) return;
    }
  }

  const deleteAll: Store['delete'] = async (keys, { signal } = {}) => {
    for (const key of keys) assertKey(key);
    for (let from = 0; from < keys.length; from += PAGE) {
      const Objects = keys.slice(from, from + PAGE).map((key) => ({ Key: prefix + key }));
      await send(`Deleting ${Objects.length} objects`, signal, async () => {
        const answer = await client.send(
          new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
          abort(signal),
        );
        const failed = answer.Errors?.find(({ Code }) => Code !== 'NoSuchKey');
        if (failed !== undefined) throw s3CodeError(failed.Code, failed.Message);
      });
    }
  };

  const link: Store['link'] = async (key, { expiresInSeconds, contentType, filename }) => {
    assertKey(key);
    assertLink({ expiresInSeconds, ...(contentType === undefined ? {} : { contentType }) });
    const command = new GetObjectCommand({
      Bucket,
      Key: prefix + key,
      ...(contentType === undefined ? {} : { ResponseContentType: contentType }),
      ...(filename === undefined ? {} : { ResponseContentDisposition: inlineDisposition(filename) }),
    });
    return getSignedUrl(client, command, { expiresIn: expiresInSeconds }).catch((error: unknown) => {
      throw toS3Error(error, `Signing a link to ${key}`);
    });
  };

  const check: Store['check'] = async (signal) => {
    const body = Buffer.from('Renderyard writes this object to see whether it can.\n');
    const options = { contentType: 'text/plain', ...(signal ? { signal } : {}) };
    await put(PROBE_KEY, body, options);
    if (!conditionalPutsWork) {
      if ((await put(PROBE_KEY, body, { ...options, ifAbsent: true })) === 'stored')
        throw new StoreError(
          'unsupported',
          `The object store ignores If-None-Match. Renderyard needs conditional creation.`,
        );
      conditionalPutsWork = true;
    }
    if ((await head(PROBE_KEY, signal ? { signal } : {})) === undefined)
      throw new StoreError('unavailable', 'The object store does not show an object that it has just taken.');
  };

  return {
    kind: 's3',
    put,
    get,
    head,
    list,
    delete: deleteAll,
    link,
    check,
    close: async () => client.destroy(),
  };
}

function clientConfig({ forcePathStyle, endpoint, region, credentials }: S3StoreOptions): S3ClientConfig {
  return {
    // Checksums that nobody asked for break streams on Ceph, and links on R2 and SeaweedFS.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Retries are ours: the SDK's cannot open a file again, and hide whether an earlier attempt may have worked.
    maxAttempts: 1,
    // It would write warnings of its own to the console, about bodies that it cannot send again.
    logger: SILENT,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: IDLE_TIMEOUT_MS,
      httpAgent: { keepAlive: true, maxSockets: MAX_CONNECTIONS },
      httpsAgent: { keepAlive: true, maxSockets: MAX_CONNECTIONS },
    },
    ...(forcePathStyle === undefined ? {} : { forcePathStyle }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

function abort(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {};
}
