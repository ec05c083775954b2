import type { Ledger } from '@renderyard/shared/credits/ledger';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import type { Logger } from '@renderyard/shared/logger';

/** The calls that this worker has in flight, whose leases it renews. */
export interface CallsInFlight {
  /** @returns what to call when the call has been recorded. */
  enter(call: string): () => void;
  /** The call is over, though its end cannot be recorded yet. */
  ended(call: string): void;
  readonly size: number;
  stop(): void;
}

/** A third of the lease: two renewals may fail before anybody takes this worker for dead. */
const RENEW_MS = LEASE_MS / 3;

/** A call may end while a renewal is on its way, which then does not know it, once; a lost one is unknown from then on. */
const UNKNOWN_RENEWALS = 2;

/** @param renewMs milliseconds between two renewals of the leases. */
export function createCallsInFlight({
  ledger,
  logger,
  renewMs = RENEW_MS,
}: {
  readonly ledger: Pick<Ledger, 'renew'>;
  readonly logger: Logger;
  readonly renewMs?: number;
}): CallsInFlight {
  /** Of each call the renewals in a row that did not know it. */
  const calls = new Map<string, number>();
  /** Counts what a renewal of these calls did not know. Returns those that are taken for lost since this one. */
  const findLost = (renewed: readonly string[], unknown: ReadonlySet<string>): readonly string[] => {
    const inFlight = renewed.filter((call) => calls.has(call));
    for (const call of inFlight) calls.set(call, unknown.has(call) ? (calls.get(call) ?? 0) + 1 : 0);
    return inFlight.filter((call) => calls.get(call) === UNKNOWN_RENEWALS);
  };
  let renewing = false;
  const renew = async () => {
    if (calls.size === 0 || renewing) return;
    renewing = true;
    try {
      const renewed = [...calls.keys()];
      const lost = findLost(renewed, new Set(await ledger.renew(renewed)));
      if (lost.length > 0)
        logger.warn({ calls: lost }, 'calls of this worker were taken for lost; their jobs have gone on without them');
    } catch (error) {
      logger.warn({ err: error, calls: calls.size }, 'the leases of calls in flight could not be renewed');
    } finally {
      renewing = false;
    }
  };
  const timer = setInterval(() => void renew(), renewMs);
  return {
    enter(call) {
      calls.set(call, 0);
      return () => calls.delete(call);
    },
    ended: (call) => void calls.delete(call),
    get size() {
      return calls.size;
    },
    stop: () => clearInterval(timer),
  };
}
