import { GenerationLostError } from '@renderyard/shared/redis/script';
import { StoreError } from '@renderyard/shared/store/store-error';
import { UnsealError } from '@renderyard/shared/webhook/sealed-secret';
import { UploadError } from '../batches/upload-error.ts';
import { API_ERRORS, type ApiErrorCode } from './catalogue.ts';
import { ProblemError } from './problem-error.ts';
import { isRedisDown } from './redis-down.ts';

/** What Fastify itself refuses, as codes of the catalogue. */
const FRAMEWORK: Readonly<Record<string, ApiErrorCode>> = {
  FST_ERR_BAD_URL: 'malformed_http',
  FST_ERR_MAX_PARAM_LENGTH: 'uri_too_long',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_http',
  FST_ERR_CTP_INSTANCE_ALREADY_STARTED: 'internal_error',
};

/** Seconds: about as long as a restart of Redis, or a store's hiccup, takes. */
const RETRY_AFTER = 2;

/** Seconds after which one of the uploads that are being read may be through. */
const BUSY_RETRY_AFTER = 5;

/** Whatever was thrown, as a problem of the catalogue. What is not known becomes `internal_error`, with no internals. */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof UploadError) return uploadProblem(error);
  if (error instanceof GenerationLostError)
    return new ProblemError('redis_replaced', undefined, { retryAfter: 1, cause: error });
  if (error instanceof StoreError && error.kind !== 'invalid' && error.kind !== 'range')
    return new ProblemError('store_unavailable', undefined, { retryAfter: RETRY_AFTER, cause: error });
  if (error instanceof UnsealError) return new ProblemError('secret_unreadable', undefined, { cause: error });
  if (isRedisDown(error))
    return new ProblemError('redis_unavailable', undefined, { retryAfter: RETRY_AFTER, cause: error });
  return fromCode(error) ?? new ProblemError('internal_error', undefined, { cause: error });
}

/** What is wrong with an upload as a whole, with its place where that is known. */
function uploadProblem(error: UploadError): ProblemError {
  const { code, message, line, column, value, problems } = error;
  const place = { ...(line === undefined ? {} : { line }), ...(value === undefined ? {} : { value }) };
  const hasPlace = line !== undefined || column !== undefined || value !== undefined;
  const whole = hasPlace ? [{ ...place, column: column ?? null, code, detail: message }] : undefined;
  const errors = problems?.map((problem) => ({ ...place, ...problem })) ?? whole;
  return new ProblemError(code, message, {
    ...(errors === undefined ? {} : { members: { errors } }),
    ...(code === 'imports_busy' ? { retryAfter: BUSY_RETRY_AFTER } : {}),
    cause: error.cause ?? error,
  });
}

/** Errors that carry a code: Fastify's, and those of routes that speak the catalogue's codes themselves. */
function fromCode(error: unknown): ProblemError | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const known = FRAMEWORK[error.code];
  if (known !== undefined) return new ProblemError(known, undefined, { cause: error });
  if (!Object.hasOwn(API_ERRORS, error.code)) return undefined;
  const code = error.code as ApiErrorCode;
  return 'statusCode' in error && error.statusCode === API_ERRORS[code].status
    ? new ProblemError(code, error.message, { cause: error })
    : undefined;
}
