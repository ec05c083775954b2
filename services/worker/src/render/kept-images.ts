import type { Logger } from '@renderyard/shared/logger';
import { orAborted } from '@renderyard/shared/or-aborted';
import type { Roster } from '@renderyard/shared/roster/roster';
import type { Store } from '@renderyard/shared/store/store';
import { readStoreVersion } from '@renderyard/shared/upgrade/store-version';
import type { Rescue } from './rescue.ts';

/** Paid images that an earlier process kept on disk. Neither method rejects; the log tells of failures. */
export interface KeptImages {
  /** Stores them, once the store is known to be the one that they belong to. */
  store(): Promise<void>;
  /**
   * The same before more is known: an emptied Redis is rebuilt by what lies in the store, and would have them paid again.
   * Nothing is done where somebody knows of another store than this one.
   */
  storeIfOurs(roster: Pick<Roster, 'hasNoOtherStoreThan'>): Promise<void>;
}

/** @param stopping ends the wait for a store that does not answer. */
export function createKeptImages({
  rescue,
  store,
  logger,
  stopping,
}: {
  readonly rescue: Pick<Rescue, 'storeKept'>;
  readonly store: Store;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
}): KeptImages {
  const tellingFailures = async (work: Promise<unknown>) => {
    try {
      await orAborted(work, stopping);
    } catch (error) {
      if (!stopping.aborted)
        logger.error({ err: error }, 'paid images that an earlier process kept on disk cannot be stored yet');
    }
  };
  return {
    store: () => tellingFailures(rescue.storeKept(store)),
    storeIfOurs: (roster) =>
      tellingFailures(
        (async () => {
          const { id } = (await readStoreVersion(store, stopping)) ?? {};
          if (roster.hasNoOtherStoreThan(id)) await rescue.storeKept(store);
        })(),
      ),
  };
}
