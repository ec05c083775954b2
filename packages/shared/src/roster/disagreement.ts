import { AGREED, type Agreed, type RosterProcess } from './roster-entry.ts';

/** Something that a process has otherwise than the one that has been there longest, or than Redis says. */
export interface Disagreement {
  readonly setting: Agreed;
  readonly with: RosterProcess | 'Redis';
}

const byAge = (a: RosterProcess, b: RosterProcess) => a.since - b.since || (a.id < b.id ? -1 : 1);

/**
 * What `own` has otherwise than the oldest process that knows it. The oldest is always right: one that comes later,
 * or many, never take work away from those that are at it.
 * @param store the store that Redis belongs to, also where nobody is there who began its work. About the store it is right,
 * not the oldest: that one may have been frozen while the others went over to another Redis, or store.
 */
export function findDisagreements(
  own: RosterProcess,
  others: Iterable<RosterProcess>,
  store?: string,
): readonly Disagreement[] {
  const all = [own, ...others].sort(byAge);
  return AGREED.flatMap((setting): Disagreement[] => {
    const mine = own.entry.agreed[setting];
    const oldest = all.find(({ entry }) => entry.agreed[setting] !== undefined);
    if (mine === undefined || oldest === undefined) return [];
    const right = (setting === 'store' ? store : undefined) ?? oldest.entry.agreed[setting];
    if (right === mine) return [];
    return [{ setting, with: all.find(({ entry }) => entry.agreed[setting] === right) ?? 'Redis' }];
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
