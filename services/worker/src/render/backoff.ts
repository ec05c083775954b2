/** No wait between two attempts is longer than this, in milliseconds. */
export const MOST_BACKOFF_MS = 60_000;

/**
 * Exponential backoff with full jitter: evenly drawn from 0 to base × 2^(tries − 1), so that jobs that failed together
 * do not come back together (AWS Architecture Blog, "Exponential Backoff And Jitter").
 * @param tries attempts made so far, 1 or more
 */
export function backoff(tries: number, baseMs: number, random: () => number = Math.random): number {
  return Math.round(random() * Math.min(MOST_BACKOFF_MS, baseMs * 2 ** Math.min(tries - 1, 30)));
}
