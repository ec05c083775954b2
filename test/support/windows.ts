/** The most of these times (milliseconds) that lie in any window of `length` milliseconds, its end not included. */
export function mostInWindow(times: readonly number[], length: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (let last = 0; last < sorted.length; last++) {
    while ((sorted[last] ?? 0) - (sorted[first] ?? 0) >= length) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
