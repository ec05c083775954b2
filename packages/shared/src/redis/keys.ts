/** The prefix of all keys, with the hash tag that keeps them in one slot of a cluster. */
export function keyPrefix(name: string): string {
  return `{${name}}:`;
}

/** The prefix of BullMQ's keys, under the same hash tag. */
export function queuePrefix(name: string): string {
  return `{${name}}`;
}
