/** Names longer than this are no misspelt parameter; the work for a name is bounded by it. */
const LONGEST_NAME = 40;

/**
 * How many letters have to be changed, added, taken away or swapped with their neighbour to make one name of the other
 * (Damerau and Levenshtein, each place touched once). Names over 40 characters count as far from everything.
 */
export function nameDistance(a: string, b: string): number {
  if (a.length > LONGEST_NAME || b.length > LONGEST_NAME) return Math.max(a.length, b.length);
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  const at = (line: readonly number[], index: number) => line[index] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(
        Math.min(
          at(row, j) + 1,
          at(next, j - 1) + 1,
          at(row, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1),
          swapped ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    before = row;
    row = next;
  }
  return at(row, b.length);
}

/** The name that is nearest to what was written, without regard to case, if it is within `most` changes. */
export function nearestName(written: string, names: Iterable<string>, most: number): string | undefined {
  const lower = written.toLowerCase();
  let nearest: string | undefined;
  let least = most;
  for (const name of names) {
    const distance = nameDistance(lower, name.toLowerCase());
    if (distance < least || (distance === least && nearest === undefined)) {
      least = distance;
      nearest = name;
    }
  }
  return nearest;
}
