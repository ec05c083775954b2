import { GenerationLostError } from '../redis/script.ts';

/** A lock runs out so long after its holder has died, in milliseconds. Renewed four times in that time. */
export const LOCK_MS = 12_000;
const RENEWALS = 4;

/** How a lock is held. */
export interface Renewal {
  /** Aborts with a `GenerationLostError` once the lock is another's, or may be: it could not be renewed for its whole time. */
  readonly signal: AbortSignal;
  /** Says that it was found to be another's. */
  lose(): void;
  /** Renews it no more. */
  stop(): void;
}

/**
 * Renews a lock from now on.
 * @param renewedAt when it was asked for, by `performance.now()`: what counts is when Redis begins to count, which is later.
 * @param keep renews it, and resolves with whether it is ours still. @param lost why it is not, in a few words.
 */
export function renewLock({
  renewedAt,
  keep,
  lost,
  lockMs = LOCK_MS,
}: {
  readonly renewedAt: number;
  readonly keep: () => Promise<boolean>;
  readonly lost: string;
  readonly lockMs?: number;
}): Renewal {
  const losing = new AbortController();
  const lose = () => losing.abort(new GenerationLostError(lost));
  let since = renewedAt;
  const renew = async () => {
    const at = performance.now();
    const ours = await keep().catch(() => undefined);
    if (ours === true) since = at;
    if (ours === false) lose();
  };
  const renewing = setInterval(() => {
    // Who is cut off from Redis is not told that another has the lock.
    if (performance.now() - since >= lockMs) lose();
    else void renew();
  }, lockMs / RENEWALS);
  return { signal: losing.signal, lose, stop: () => clearInterval(renewing) };
}
