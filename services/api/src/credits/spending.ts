import type { Nanocredits } from '@renderyard/shared/credits/amount';
import type { BookEntry } from '@renderyard/shared/credits/credit-books';

export const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;

/** What was spent lately, by books that begin at {@link firstHour} or before. */
export interface Spending {
  /** In the last 60 minutes: of the hour before as much as its share of them, as if it were spent evenly. */
  readonly lastHour: Nanocredits;
  /** Since the hour, and the day, began (UTC). */
  readonly hour: Nanocredits;
  readonly day: Nanocredits;
}

/** The first hour (since 1970) that {@link spendingOf} asks for. */
export function firstHour(now: number): number {
  const hour = Math.floor(now / HOUR_MS);
  return Math.min(hour - 1, hour - (hour % DAY_HOURS));
}

export function spendingOf(entries: readonly BookEntry[], now: number): Spending {
  const hour = Math.floor(now / HOUR_MS);
  const begun = (now % HOUR_MS) / HOUR_MS;
  const sum = (from: number) =>
    entries
      .filter((entry) => entry.hour >= from && entry.hour <= hour)
      .reduce((total, each) => total + each.credits, 0);
  const thisHour = sum(hour);
  const before = sum(hour - 1) - thisHour;
  return {
    lastHour: Math.round(thisHour + before * (1 - begun)),
    hour: thisHour,
    day: sum(hour - (hour % DAY_HOURS)),
  };
}

/**
 * Seconds for which what is available lasts at the pace of the last hour; undefined where nothing was spent, or what is
 * available is not known.
 */
export function runwaySeconds(available: Nanocredits | undefined, lastHour: Nanocredits): number | undefined {
  if (available === undefined || lastHour <= 0) return undefined;
  return Math.max(0, Math.floor((available / lastHour) * 3600));
}
