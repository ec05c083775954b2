import { ProblemError } from '../errors/problem-error.ts';

/** Seconds: streams end when their clients leave, or are found to be gone. */
const RETRY_AFTER = 5;

export type StreamPlaces = ReturnType<typeof createStreamPlaces>;

/** Bounds how many streams of events are open at once: in the process, and of one account. */
export function createStreamPlaces({ perAccount, inAll }: { readonly perAccount: number; readonly inAll: number }) {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    /** How many are open. */
    get open() {
      return all;
    },
    /** @returns gives the place back. @throws {ProblemError} `too_many_streams`, `streams_full`. */
    take(account: string): () => void {
      const own = taken.get(account) ?? 0;
      if (own >= perAccount)
        throw new ProblemError('too_many_streams', `${perAccount} streams of this account are open. Close one.`, {
          retryAfter: RETRY_AFTER,
        });
      if (all >= inAll) throw new ProblemError('streams_full', undefined, { retryAfter: RETRY_AFTER });
      taken.set(account, own + 1);
      all += 1;
      let isTaken = true;
      return () => {
        if (!isTaken) return;
        isTaken = false;
        all -= 1;
        const left = (taken.get(account) ?? 1) - 1;
        if (left === 0) taken.delete(account);
        else taken.set(account, left);
      };
    },
  };
}
