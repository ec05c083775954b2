import { newSecret } from '../ids.ts';

/**
 * Of all that is kept in Redis and in the store. It goes up by one when a process of the version before could not go on
 * with what this one writes; how to get there is then added to migrations.ts.
 */
export const STATE_VERSION = 1;

/** What the mark of a Redis says of the data in it. */
export interface MarkedState {
  readonly version: number;
  /** An upgrade from this version has begun and is not finished: nobody works with this mark. */
  readonly upgradedFrom?: number;
}

/**
 * A new mark: `v<version>.<random>`, or `v<version>.from<version>.<random>` while an upgrade is under way. Every later
 * version keeps to that beginning, by which an older one knows that it must not go on.
 */
export function newMark({ version, upgradedFrom }: MarkedState): string {
  return `v${version}.${upgradedFrom === undefined ? '' : `from${upgradedFrom}.`}${newSecret(12)}`;
}

/** Reads a mark. One without a version is older than all versions, and counts as 0. */
export function readMark(mark: string): MarkedState {
  const [, version, from] = /^v(\d+)\.(?:from(\d+)\.)?/.exec(mark) ?? [];
  return { version: Number(version ?? 0), ...(from === undefined ? {} : { upgradedFrom: Number(from) }) };
}
