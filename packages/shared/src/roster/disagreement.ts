import { AGREED, type Agreed, type RosterProcess } from './roster-entry.ts';

/** Something that a process has otherwise than the one that has been there longest. */
export interface Disagreement {
  readonly setting: Agreed;
  readonly with: RosterProcess;
}

const byAge = (a: RosterProcess, b: RosterProcess) => a.since - b.since || (a.id < b.id ? -1 : 1);

/**
 * What `own` has otherwise than the oldest process that knows it. The oldest is always right: one that comes later,
 * or many, never take work away from those that are at it.
 */
export function findDisagreements(own: RosterProcess, others: Iterable<RosterProcess>): readonly Disagreement[] {
  const all = [own, ...others].sort(byAge);
  return AGREED.flatMap((setting) => {
    const mine = own.entry.agreed[setting];
    const oldest = all.find(({ entry }) => entry.agreed[setting] !== undefined);
    return mine === undefined || oldest === undefined || oldest.entry.agreed[setting] === mine
      ? []
      : [{ setting, with: oldest }];
  });
}

/** Settings of a worker that an older worker has otherwise. */
export function findDifferences(own: RosterProcess, others: Iterable<RosterProcess>) {
  return [...others]
    .filter((other) => other.entry.service === own.entry.service && byAge(other, own) < 0)
    .flatMap((other) =>
      Object.entries(own.entry.settings).flatMap(([setting, value]) => {
        const theirs = other.entry.settings[setting];
        return theirs === undefined || theirs === value ? [] : [{ setting, value, theirs, with: other }];
      }),
    );
}
