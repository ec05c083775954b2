import type { BatchStates, Flush } from '@renderyard/shared/batch/batch-states';

/** Thrown when a batch is another worker's to write: what was begun is left to that one. */
export class LostLeaseError extends Error {
  override readonly name = 'LostLeaseError';
}

/** A batch that is this worker's to write. */
export interface FlushLease {
  readonly flush: Flush;
  /** Renews the lease once a third of it has passed. @throws {LostLeaseError} */
  keep(): Promise<void>;
  /**
   * Renews the lease, and gives a signal that aborts while it still has a third to run: what must not come late is sent
   * under it. @throws {LostLeaseError}
   */
  secure(): Promise<AbortSignal>;
}

export function createFlushLease(states: BatchStates, flush: Flush, leaseMs: number): FlushLease {
  // The process's own clock, which nobody sets: it runs on while the process is frozen.
  let renewedAt = performance.now();
  const renew = async () => {
    const asked = performance.now();
    if (!(await states.renewFlush(flush, leaseMs)))
      throw new LostLeaseError(`The lease on the results of ${flush.batch} has run out.`);
    renewedAt = asked;
  };
  return {
    flush,
    async keep() {
      if (performance.now() - renewedAt > leaseMs / 3) await renew();
    },
    async secure() {
      await renew();
      return AbortSignal.timeout(Math.max(Math.floor((leaseMs * 2) / 3 - (performance.now() - renewedAt)), 1));
    },
  };
}
