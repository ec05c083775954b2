/** How calls follow one another, as admit.lua keeps it. */
export interface Pace {
  /** So many calls at most lie in any window of `window_ms`. */
  readonly calls: number;
  readonly window_ms: number;
  /** Two calls are never closer than this. */
  readonly spacing_ms: number;
}

/**
 * A window is this much longer than its calls' share of a minute: of the six seconds that a tenth of the calls may take,
 * 150 ms are kept for the jitter between a grant and the call's arrival. With 15, 60 and 120 ms a busy machine was seen
 * to put one call too many into a window; each hundredth more costs a hundredth of the rate.
 */
const WINDOW_MARGIN = 1.025;
/** Calls may catch up on ones that came late, at this share of the mean distance: enough to lose nothing, and no burst. */
const SPACING_SHARE = 0.9;

/**
 * The pace of `perMinute` calls a minute, kept in windows of a tenth of a minute, which keep the whole minute too. Below ten
 * calls a minute the window is that of one call.
 */
export function paceOf(perMinute: number): Pace {
  const mean = 60_000 / perMinute;
  const calls = Math.max(1, Math.floor(perMinute / 10));
  return { calls, window_ms: calls * mean * WINDOW_MARGIN, spacing_ms: mean * SPACING_SHARE };
}
