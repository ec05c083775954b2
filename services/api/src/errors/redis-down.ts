/** Begins of Redis's error replies that say that it cannot serve now, not that the command was wrong. */
const REFUSALS = /^-?(LOADING|READONLY|MASTERDOWN|NOREPLICAS|MISCONF|OOM|BUSY|CLUSTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS)\b/;
/** What the client library says when there is no usable connection; it has no codes for these. */
const NO_CONNECTION = /Stream isn't writeable|Command timed out|Connection is closed|max retries per request/i;
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Whether an error means that Redis cannot be used now. */
export function isRedisDown(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'MaxRetriesPerRequestError') return true;
  // A transaction: why its commands were refused stands beside it.
  if (error.message.startsWith('EXECABORT'))
    return ((error as { previousErrors?: readonly unknown[] }).previousErrors ?? []).some(isRedisDown);
  if (REFUSALS.test(error.message) || NO_CONNECTION.test(error.message)) return true;
  return SOCKET_CODES.has((error as NodeJS.ErrnoException).code ?? '');
}
