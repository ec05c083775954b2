/** Redis's error codes for what it will not do now, in words for operators. */
const REASONS: Readonly<Record<string, string>> = {
  MISCONF: 'it cannot save its data to its disk',
  OOM: 'its memory is full (maxmemory)',
  READONLY: 'it is a replica',
  NOREPLICAS: 'it has fewer replicas than min-replicas-to-write asks for',
  LOADING: 'it is still loading its data',
  MASTERDOWN: 'it is a replica without its master',
  CLUSTERDOWN: 'its cluster is not whole',
  BUSY: 'a script keeps it busy',
  NOPERM: 'its user may not write our keys',
  NOAUTH: 'it asks for a password',
  WRONGPASS: 'the password is wrong',
};

/** What to tell of a command of ours that Redis failed, or did not answer: public text, without Redis's own words. */
export function describeRefusal(error: unknown): string {
  const code = error instanceof Error ? (/^-?([A-Z]+)\b/.exec(error.message)?.[1] ?? '') : '';
  const reason = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  return reason === undefined
    ? 'Redis cannot be reached, or does not answer in time.'
    : `Redis answers, but refuses work: ${reason} (${code}).`;
}
