import { createCreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import { reapplyDecision } from '@renderyard/shared/credits/reapply-decision';
import { createKeyRecords } from '@renderyard/shared/key/key-records';
import { createKeyRing } from '@renderyard/shared/key/key-ring';
import { reapplyKeys } from '@renderyard/shared/key/reapply-keys';
import type { Logger } from '@renderyard/shared/logger';
import type { Redis } from '@renderyard/shared/redis/connect';
import type { Generation } from '@renderyard/shared/redis/generation';
import type { Store } from '@renderyard/shared/store/store';
import { createEndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { reapplyEndpoints } from '@renderyard/shared/webhook/reapply-endpoints';
import { createWebhookStore } from '@renderyard/shared/webhook/webhook-store';

/**
 * Brings into force again what was decided by hand and lies in the store: about credits, keys and endpoints. What fails
 * of it the log tells, and what Redis knows goes on to hold.
 */
export async function reapplyDecisions({
  redis,
  prefix,
  generation,
  ledger,
  store,
  logger,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Generation;
  readonly ledger: Ledger;
  readonly store: Store;
  readonly logger: Logger;
}): Promise<void> {
  const inRedis = { redis, prefix, generation };
  await Promise.all([
    reapplyDecision({ decisions: createCreditDecisions({ store }), ledger, logger }).catch((error: unknown) =>
      logger.warn({ err: error }, 'the last decision about credits could not be put into force'),
    ),
    reapplyKeys({ records: createKeyRecords({ store, logger }), ring: createKeyRing(inRedis), logger }),
    reapplyEndpoints({
      decisions: createEndpointDecisions({ store, logger }),
      webhooks: createWebhookStore(inRedis),
      logger,
    }),
  ]);
}
