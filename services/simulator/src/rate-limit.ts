import type { Clock } from '@renderyard/shared/clock';

const WINDOW_MS = 60_000;

/** Counts calls in windows of a minute; a window begins with the first call after the last one ended. */
export interface RateLimit {
  /** Counts a call; false when the window is full, and then it does not count. */
  take(): boolean;
  /** When the window ends, in milliseconds since 1970. */
  resetsAt(): number;
}

/** @param options.perMinute the most calls in a window; undefined for no limit. */
export function createRateLimit(options: { readonly perMinute: number | undefined; readonly clock: Clock }): RateLimit {
  let startedAt = Number.NEGATIVE_INFINITY;
  let taken = 0;
  const roll = () => {
    const now = options.clock.now();
    if (now - startedAt < WINDOW_MS) return;
    startedAt = now;
    taken = 0;
  };
  return {
    take: () => {
      roll();
      if (options.perMinute !== undefined && taken >= options.perMinute) return false;
      taken += 1;
      return true;
    },
    resetsAt: () => {
      roll();
      return startedAt + WINDOW_MS;
    },
  };
}
