import type { Logger } from '../logger.ts';
import type { KeyRecords } from './key-records.ts';
import type { KeyRing } from './key-ring.ts';

/**
 * Puts all API keys into force as a process starts: one may have been made or revoked in the store without Redis having been
 * told. Where it fails what Redis knows goes on to hold, and the log says so. Never throws.
 */
export async function reapplyKeys({
  records,
  ring,
  logger,
}: {
  readonly records: Pick<KeyRecords, 'list'>;
  readonly ring: Pick<KeyRing, 'put'>;
  readonly logger: Logger;
}): Promise<void> {
  try {
    await ring.put(await records.list());
  } catch (error) {
    logger.warn({ err: error }, 'API keys could not be put into force; those that Redis knows hold');
  }
}
