/** Seconds. */
const LONGEST_WAIT = 60;

/**
 * The seconds of `Prefer: wait=N` (RFC 7240), at most 60; undefined where it is not given. A preference that is not
 * understood is no error: it is ignored, and `Preference-Applied` tells.
 */
export function preferredWait(header: string | readonly string[] | undefined): number | undefined {
  const preferences = [header ?? []].flat().flatMap((value) => value.split(','));
  for (const preference of preferences) {
    const seconds = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;|$)/i.exec(preference)?.[1];
    if (seconds !== undefined) return Number(seconds) < 1 ? undefined : Math.min(Number(seconds), LONGEST_WAIT);
  }
  return undefined;
}
