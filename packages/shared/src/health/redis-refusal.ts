import { credentialsRefusal } from '../redis/credentials-refusal.ts';

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
};
/** What is wrong with the user and password that REDIS_URL names. */
const CREDENTIALS = {
  NOAUTH: 'it asks for a password',
  WRONGPASS: 'user or password are wrong, or the user is disabled',
  NOPERM: 'the user may not do what is needed with our keys',
} as const;

/**
 * What to tell of a command of ours that Redis failed, or did not answer: public text, without Redis's own words.
 * @param error of the command. @param connecting why the connection could not be made when it was tried last: without
 * one a command fails with no more than that.
 */
export function describeRefusal(error: unknown, connecting?: unknown): string {
  const refused = [error, connecting].map(credentialsRefusal).find((each) => each !== undefined);
  if (refused !== undefined)
    return `Redis answers, but refuses the credentials of REDIS_URL: ${CREDENTIALS[refused]} (${refused}).`;
  const code = error instanceof Error ? (/^-?([A-Z]+)\b/.exec(error.message)?.[1] ?? '') : '';
  const reason = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  return reason === undefined
    ? 'Redis cannot be reached, or does not answer in time.'
    : `Redis answers, but refuses work: ${reason} (${code}).`;
}
