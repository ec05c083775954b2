import { setTimeout as delay } from 'node:timers/promises';
import { StoreError } from './store-error.ts';

const ATTEMPTS = 3;
/** The first wait is up to 200 ms, the second up to 800 ms: enough for a connection that was reset, not for an outage. */
const FIRST_WAIT_MS = 200;

/**
 * Runs a call up to 3 times, as long as it fails with a retryable `StoreError`, with full jitter between. Longer
 * patience belongs to the caller, who knows what waiting costs.
 * @throws what the last attempt threw, or the signal's reason once it aborts.
 */
export async function withAttempts<T>(
  signal: AbortSignal | undefined,
  call: (attempt: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await call(attempt);
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt === ATTEMPTS || !(error instanceof StoreError) || !error.retryable) throw error;
      const wait = Math.random() * FIRST_WAIT_MS * 4 ** (attempt - 1);
      await delay(wait, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    }
  }
}
