import type { Recovery } from '@renderyard/shared/recovery/recovery';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { ProblemError } from './problem-error.ts';

/** Seconds: as often as Redis and the store are asked at the start. */
const RETRY_AFTER = 1;

const WHAT = {
  redis: ['redis_unavailable', 'Redis'],
  store: ['store_unavailable', 'the object store'],
} as const;

/**
 * What is to be told in place of a Redis that is not known: a server that has just started only waits to hear from it,
 * or from the store, and nothing was replaced. @returns the error itself where it is of anything else.
 */
export function asStarting(error: unknown, { waitsFor }: Pick<Recovery, 'waitsFor'>): unknown {
  if (!(error instanceof GenerationLostError) || (waitsFor !== 'redis' && waitsFor !== 'store')) return error;
  const [code, what] = WHAT[waitsFor];
  return new ProblemError(
    code,
    `The server is starting, and ${what} has not answered yet. Nothing was changed; ask again.`,
    { retryAfter: RETRY_AFTER, cause: error },
  );
}
