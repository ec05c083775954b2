/**
 * Why a store refused, a closed set:
 * - `unavailable`: it cannot be reached, is overloaded, timed out or answered 5xx. The only kind worth retrying soon.
 * - `denied`: credentials or permissions are wrong.
 * - `not_found_bucket`: the bucket, or the folder of the directory store, is not there.
 * - `full`: no space, or a quota is used up.
 * - `invalid`: the call itself is wrong (a key, metadata, a length), or the store found it so.
 * - `range`: the range asked for lies outside the object; `bytes` says how long the object is.
 * - `unsupported`: the store lacks what Renderyard needs: conditional creation, or hard links for the directory store.
 */
export const STORE_ERROR_KINDS = [
  'unavailable',
  'denied',
  'not_found_bucket',
  'full',
  'invalid',
  'range',
  'unsupported',
] as const;
export type StoreErrorKind = (typeof STORE_ERROR_KINDS)[number];

/**
 * Thrown by every method of a store. It is not thrown for what is simply missing, nor when the caller's own signal
 * aborts: then the signal's reason is thrown. Messages carry no credentials and no signed URLs.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreErrorKind;
  /** The object's length, for `range` where the store told it. */
  readonly bytes: number | undefined;

  constructor(
    kind: StoreErrorKind,
    message: string,
    options: { readonly cause?: unknown; readonly bytes?: number } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.kind = kind;
    this.bytes = options.bytes;
  }

  /**
   * Whether the same call may succeed in a few seconds. The other kinds need a person, or another call; `denied`,
   * `not_found_bucket` and `full` end without a restart once someone has acted, so a hold may go on probing.
   */
  get retryable(): boolean {
    return this.kind === 'unavailable';
  }
}
