import { type Means, reachable } from './estimate.ts';

/** How a batch moves, at one moment. Times are milliseconds since 1970. */
export interface Movement {
  readonly now: number;
  readonly startedAt: number | undefined;
  /** When its latest rows ended, newest first, at most `mostLatest` of them. */
  readonly latest: readonly number[];
  readonly mostLatest: number;
}

/** Ends that are older tell little about now, as long as there are enough newer ones. */
const RECENT_MS = 5 * 60_000;
/** Fewer ends than this tell no speed that a forecast could rest on. */
const ENOUGH = 5;

/** Rows a minute over the latest ends; it falls as long as no row ends. 0 before the first. */
export function measuredRate({ now, startedAt, latest, mostLatest }: Movement): number {
  const recent = latest.filter((end) => end > now - RECENT_MS);
  const ends = recent.length >= ENOUGH ? recent : latest;
  const oldest = ends.at(-1);
  if (oldest === undefined) return 0;
  // Where older ends are left out, the oldest one marks the begin and does not count.
  const isCut = ends.length < latest.length || latest.length >= mostLatest;
  const from = isCut ? oldest : Math.min(startedAt ?? oldest, oldest);
  const counted = isCut ? ends.length - 1 : ends.length;
  return (counted * 60_000) / Math.max(now - from, 1000);
}

/** When the remaining rows will have ended at the speed of late, or at the one that is allowed while that tells nothing. */
export function expectedEnd(remaining: number, movement: Movement, means: Pick<Means, 'perMinute' | 'slots'>): number {
  const measured = movement.latest.length >= ENOUGH ? measuredRate(movement) : 0;
  const perMinute = measured > 0 ? measured : reachable(means).perMinute;
  return movement.now + Math.ceil((remaining / perMinute) * 60_000);
}
