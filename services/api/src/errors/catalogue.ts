import { UPLOAD_ERRORS, type UploadErrorCode } from '../batches/upload-error.ts';

/** What is told to a client about one kind of error. */
export interface ErrorKind {
  readonly status: number;
  /** Short, and the same for every occurrence. */
  readonly title: string;
  /** The detail where the place that fails has nothing more exact to say. */
  readonly text: string;
}

/** Uploads that cannot become a batch; 400 where nothing else is said. */
const UPLOAD_STATUS: Readonly<Partial<Record<UploadErrorCode, number>>> = {
  upload_too_large: 413,
  too_many_rows: 413,
  json_too_large: 413,
  unsupported_format: 415,
  unsupported_encoding: 415,
  unsupported_charset: 415,
  imports_busy: 503,
  import_failed: 500,
};

/**
 * Every error that the API answers with: a closed list, documented in docs/errors.md, compared with it by a test.
 * A code never changes its meaning.
 */
export const API_ERRORS = {
  ...uploadKinds(),
  malformed_http: {
    status: 400,
    title: 'Malformed HTTP',
    text: 'The request is not well-formed HTTP/1.1.',
  },
  invalid_request: { status: 400, title: 'Invalid request', text: 'The request is not valid; `errors` says where.' },
  invalid_json: { status: 400, title: 'Invalid JSON', text: 'The body is not valid JSON.' },
  invalid_encoding: { status: 400, title: 'Invalid encoding', text: 'The body is not valid UTF-8.' },
  invalid_idempotency_key: {
    status: 400,
    title: 'Invalid Idempotency-Key',
    text: 'An Idempotency-Key is 1 to 255 visible ASCII characters, without spaces, sent once.',
  },
  unauthorized: {
    status: 401,
    title: 'Unauthorized',
    text: 'A valid API key is needed: send it as `Authorization: Bearer <key>`.',
  },
  host_not_allowed: {
    status: 403,
    title: 'Host not allowed',
    text: 'Without API keys only this machine may ask: use 127.0.0.1, [::1] or localhost, or set RENDERYARD_API_KEYS.',
  },
  origin_not_allowed: {
    status: 403,
    title: 'Origin not allowed',
    text: 'Without API keys no page of another origin may ask. Set RENDERYARD_API_KEYS to serve other pages.',
  },
  insufficient_scope: {
    status: 403,
    title: 'Insufficient scope',
    text: 'The API key may not do this. Ask for one with the scope that is needed.',
  },
  bad_signature: { status: 403, title: 'Bad signature', text: 'This link was not made here, or it was changed.' },
  link_expired: { status: 403, title: 'Link expired', text: 'This link has expired. Ask for a new one.' },
  not_found: { status: 404, title: 'Not found', text: 'There is nothing here.' },
  no_image: { status: 404, title: 'No image', text: 'The job ended without an image.' },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    text: 'This address knows other methods; `Allow` names them.',
  },
  request_timeout: { status: 408, title: 'Request timeout', text: 'The request did not arrive in time.' },
  job_ended: { status: 409, title: 'Job has ended', text: 'The job has ended; there is nothing to cancel.' },
  job_not_ended: { status: 409, title: 'Job has not ended', text: 'Only a job that has ended can be deleted.' },
  batch_ended: { status: 409, title: 'Batch has ended', text: 'The batch has ended, or is just ending.' },
  batch_not_ended: {
    status: 409,
    title: 'Batch has not ended',
    text: 'Only a batch that has ended can be deleted. Cancel it first.',
  },
  batch_canceled: { status: 409, title: 'Batch is canceled', text: 'The batch is canceled, which is final.' },
  batch_paused: { status: 409, title: 'Batch is paused', text: 'The batch is paused already.' },
  batch_not_paused: { status: 409, title: 'Batch is not paused', text: 'The batch is not paused.' },
  batch_over_budget: {
    status: 409,
    title: 'Batch is over its budget',
    text: 'The budget of the batch is used up. Raise it: PATCH with a higher `budget`.',
  },
  batch_not_retryable: {
    status: 409,
    title: 'Batch cannot be retried',
    text: 'No row of the batch has failed.',
  },
  batch_changing: {
    status: 409,
    title: 'Batch is changing',
    text: 'Others change the batch at the same time. Ask again.',
  },
  credits_changing: {
    status: 409,
    title: 'Credits are changing',
    text: 'Others change limits, budgets or holds at the same time. Ask again.',
  },
  webhooks_changing: {
    status: 409,
    title: 'Webhooks are changing',
    text: 'Others change webhooks of this account at the same time. Ask again.',
  },
  too_many_webhooks: {
    status: 409,
    title: 'Too many webhooks',
    text: 'An account has at most 20 webhooks. Delete one, or change the URL of one.',
  },
  too_many_secrets: {
    status: 409,
    title: 'Too many secrets',
    text: 'A webhook has at most 5 secrets at once. Wait until one has expired, or rotate with a shorter `overlap_hours`.',
  },
  webhook_disabled: {
    status: 409,
    title: 'Webhook is disabled',
    text: 'Nothing is sent to a webhook that is disabled. Enable it first: PATCH with {"state":"enabled"}.',
  },
  webhook_deleted: {
    status: 409,
    title: 'Webhook was deleted',
    text: 'The webhook was deleted: there is nowhere to send it to.',
  },
  webhook_queue_full: {
    status: 409,
    title: 'Queue of the webhook is full',
    text: '10,000 deliveries wait for this receiver, the most that there may be. Ask again once some of them have ended.',
  },
  delivery_sending: {
    status: 409,
    title: 'Delivery is being sent',
    text: 'The delivery is on its way right now. Ask again once the attempt has ended.',
  },
  secret_key_missing: {
    status: 409,
    title: 'SECRET_KEY is missing',
    text: 'With a bucket, secrets of webhooks need a key that all processes share. Set SECRET_KEY to the same value for each API and worker, as `openssl rand -base64 32` prints one, and start them again.',
  },
  secret_unreadable: {
    status: 409,
    title: 'Secret cannot be read',
    text: 'The secret was sealed with another SECRET_KEY, or is damaged. Bring back the SECRET_KEY of then, or rotate the secret.',
  },
  job_not_retryable: {
    status: 409,
    title: 'Job cannot be retried',
    text: 'Only a failed, canceled or expired job can be retried.',
  },
  row_of_batch: {
    status: 409,
    title: 'Row of a batch',
    text: 'The job is a row of a batch: cancel or retry the batch.',
  },
  image_not_ready: {
    status: 409,
    title: 'Image not ready',
    text: 'The job has not ended; its image is not there yet.',
  },
  idempotency_key_in_use: {
    status: 409,
    title: 'Idempotency-Key in use',
    text: 'The first request with this Idempotency-Key is still running.',
  },
  payload_too_large: { status: 413, title: 'Payload too large', text: 'The body is too large.' },
  uri_too_long: { status: 414, title: 'URI too long', text: 'A part of the address is too long.' },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    text: 'The body must be JSON in UTF-8, sent as `Content-Type: application/json`.',
  },
  range_not_satisfiable: {
    status: 416,
    title: 'Range not satisfiable',
    text: 'The range lies outside of the object.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency-Key reused',
    text: 'This Idempotency-Key was sent with another request in the last 24 hours. Use a new one.',
  },
  rows_rejected: {
    status: 422,
    title: 'Rows rejected',
    text: 'Some rows are not valid, and `on_invalid` is `reject`. Nothing was made; `errors` says what is wrong.',
  },
  no_rows: {
    status: 422,
    title: 'No rows',
    text: 'No row can be rendered. Nothing was made; `errors` says what is wrong.',
  },
  headers_too_large: { status: 431, title: 'Headers too large', text: 'The headers are larger than 16 KiB.' },
  rate_limited: {
    status: 429,
    title: 'Rate limited',
    text: 'This key has sent as many requests as it may. Ask again after `Retry-After`.',
  },
  too_many_streams: {
    status: 429,
    title: 'Too many streams',
    text: 'An account has at most 100 streams of events open at one server. Close one.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    text: 'This is a fault of the server; its log has the cause under the request_id.',
  },
  redis_unavailable: {
    status: 503,
    title: 'Redis unavailable',
    text: 'Redis cannot be used now. Whether a change was made is not known: repeat it with the same Idempotency-Key.',
  },
  redis_replaced: {
    status: 503,
    title: 'Redis replaced',
    text: 'Redis was emptied or replaced, and is being rebuilt from the store. Nothing was changed; ask again.',
  },
  store_unavailable: {
    status: 503,
    title: 'Store unavailable',
    text: 'The object store cannot be used now.',
  },
  backlog_full: {
    status: 503,
    title: 'Backlog full',
    text: 'As many jobs wait as MAX_WAITING_JOBS allows. Nothing was accepted; ask again later.',
  },
  streams_full: {
    status: 503,
    title: 'Streams full',
    text: 'As many streams of events are open as one server allows: 1,000. Ask again later.',
  },
  not_ready: { status: 503, title: 'Not ready', text: 'The server cannot do its work now; `checks` says why.' },
} as const satisfies Readonly<Record<string, ErrorKind>>;

export type ApiErrorCode = keyof typeof API_ERRORS;

/** The errors of uploads as kinds; their titles are their codes in words. */
function uploadKinds(): Readonly<Record<UploadErrorCode, ErrorKind>> {
  return Object.fromEntries(
    Object.entries(UPLOAD_ERRORS).map(([code, text]) => {
      const title = code.charAt(0).toUpperCase() + code.slice(1).replaceAll('_', ' ');
      return [code, { status: UPLOAD_STATUS[code as UploadErrorCode] ?? 400, title, text }];
    }),
  ) as Record<UploadErrorCode, ErrorKind>;
}

/** What can be wrong with one part of a request, in `errors[].code`: a closed list as well. */
export const PART_CODES = [
  'required',
  'unknown_field',
  'unknown_parameter',
  'unknown_model',
  'wrong_type',
  'out_of_range',
  'invalid_format',
  'too_large',
  'too_deep',
  'not_exact',
  'forbidden_name',
  'duplicate_name',
  'unknown_event_type',
  'webhook_url_refused',
  'syntax',
] as const;
export type PartCode = (typeof PART_CODES)[number];
