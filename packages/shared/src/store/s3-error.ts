import { redact } from '../redact.ts';
import { StoreError, type StoreErrorKind } from './store-error.ts';

/** What the errors of an S3 client have in common; each field may be missing. */
interface S3ErrorLike {
  readonly name?: string;
  readonly code?: string;
  readonly Code?: string;
  readonly message?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Error codes that say more than the status does, from AWS's list of error responses and from Ceph and MinIO. */
const KINDS: Readonly<Record<string, StoreErrorKind>> = {
  NoSuchBucket: 'not_found_bucket',
  QuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  XMinioAdminBucketQuotaExceeded: 'full',
  InvalidRange: 'range',
  NotImplemented: 'unsupported',
  ExpiredToken: 'denied',
  InvalidToken: 'denied',
  CredentialsProviderError: 'denied',
  TokenProviderError: 'denied',
  /** The SDK learns the server's time from this answer, so the next attempt is signed right. */
  RequestTimeTooSkewed: 'unavailable',
  RequestTimeout: 'unavailable',
  SlowDown: 'unavailable',
  /** Two conditional writes at once: AWS asks for the request to be sent again. */
  ConditionalRequestConflict: 'unavailable',
  OperationAborted: 'unavailable',
  /** The body's checksum did not match on arrival. */
  BadDigest: 'unavailable',
  TimeoutError: 'unavailable',
};

const ADVICE: Readonly<Record<StoreErrorKind, string>> = {
  unavailable: 'It is tried again; if it lasts, see whether the address in AWS_ENDPOINT_URL_S3 is right and reachable.',
  denied:
    'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role must allow reading, writing, listing and deleting in the bucket.',
  not_found_bucket: 'Create the bucket, or correct S3_BUCKET.',
  full: 'Make space, or raise the quota.',
  invalid: 'AWS_REGION, AWS_ENDPOINT_URL_S3 and S3_FORCE_PATH_STYLE must fit the bucket.',
  range: 'The range must lie inside the object.',
  unsupported: 'Renderyard needs a store with conditional creation (If-None-Match: *).',
};

/** What a multi-object deletion says of one object, in the form of an error that `toS3Error` understands. */
export function s3CodeError(code: string | undefined, message: string | undefined): Error {
  const denied = code === 'AccessDenied' ? 403 : 500;
  return Object.assign(new Error(message), { Code: code, $metadata: { httpStatusCode: denied } });
}

/** The HTTP status of an S3 client's error, where there was an answer. */
export function s3Status(error: unknown): number | undefined {
  return (error as S3ErrorLike | undefined)?.$metadata?.httpStatusCode;
}

/**
 * Turns what an S3 client threw into a `StoreError`. Without an answer, or with one that is no S3 answer, the store
 * counts as unavailable: nothing is known about what it did.
 * @param action what was being done, to complete "… failed".
 */
export function toS3Error(error: unknown, action: string): StoreError {
  if (error instanceof StoreError) return error;
  const { name, code, Code, message, $metadata }: S3ErrorLike = error instanceof Object ? error : {};
  const kind = KINDS[Code ?? ''] ?? KINDS[name ?? ''] ?? kindOfStatus($metadata?.httpStatusCode, message);
  const status = $metadata?.httpStatusCode;
  const reason = redact([code ?? Code ?? name, status, message].filter((part) => part !== undefined).join(' ')).slice(
    0,
    300,
  );
  return new StoreError(kind, `${action} failed: ${reason}. ${ADVICE[kind]}`, {
    cause: error,
  });
}

function kindOfStatus(status: number | undefined, message: string | undefined): StoreErrorKind {
  if (status === undefined) return /^(Region is missing|Invalid URL)/.test(message ?? '') ? 'invalid' : 'unavailable';
  if (status === 401 || status === 403) return 'denied';
  if (status === 416) return 'range';
  if (status === 501) return 'unsupported';
  if (status === 507) return 'full';
  if (status === 408 || status === 429 || status >= 500 || status < 300) return 'unavailable';
  return 'invalid';
}
