import type { AttemptRecord } from '@renderyard/shared/webhook/delivery';

/** A receiver may ask for this much patience, in milliseconds: a day. */
const MOST_PATIENCE_MS = 86_400_000;
/** Waits are longer by up to this share, so that what failed together is not sent together again. */
const JITTER = 0.1;

/**
 * What an attempt came to. 2xx is success; 410 says that nobody is there any more, and all else, redirects included, may
 * go better later (Standard Webhooks, “Deliverability and reliability”).
 */
export function verdictOf({ status, error }: Pick<AttemptRecord, 'status' | 'error'>): 'ok' | 'failed' | 'gone' {
  if (error !== undefined || status === undefined) return 'failed';
  if (status >= 200 && status < 300) return 'ok';
  return status === 410 ? 'gone' : 'failed';
}

/**
 * Milliseconds until the next attempt; undefined after the last.
 * @param scheduleS the wait before each attempt, in seconds
 * @param tries attempts so far
 * @param retryAfterMs what the receiver asked for: it is waited for, but no longer than a day
 */
export function nextWait(
  scheduleS: readonly number[],
  tries: number,
  retryAfterMs: number | undefined,
  random: () => number = Math.random,
): number | undefined {
  const seconds = scheduleS[tries];
  if (seconds === undefined) return undefined;
  const waitMs = seconds * 1000 * (1 + JITTER * random());
  return Math.round(Math.max(waitMs, Math.min(retryAfterMs ?? 0, MOST_PATIENCE_MS)));
}
