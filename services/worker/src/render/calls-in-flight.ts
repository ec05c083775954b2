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

export function createCallsInFlight({
  ledger,
  logger,
}: {
  readonly ledger: Ledger;
  readonly logger: Logger;
}): CallsInFlight {
  const calls = new Set<string>();
  let renewing = false;
  const renew = async () => {
    if (calls.size === 0 || renewing) return;
    renewing = true;
    try {
      const lost = (await ledger.renew([...calls])).filter((call) => calls.has(call));
      if (lost.length > 0)
        logger.warn({ calls: lost }, 'calls of this worker were taken for lost; their jobs have gone on without them');
    } catch (error) {
      logger.warn({ err: error, calls: calls.size }, 'the leases of calls in flight could not be renewed');
    } finally {
      renewing = false;
    }
  };
  const timer = setInterval(() => void renew(), RENEW_MS);
  return {
    enter(call) {
      calls.add(call);
      return () => calls.delete(call);
    },
    ended: (call) => void calls.delete(call),
    get size() {
      return calls.size;
    },
    stop: () => clearInterval(timer),
  };
}
