import { type BatchFiles, createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { type BatchStates, createBatchStates } from '@renderyard/shared/batch/batch-states';
import type { Config } from '@renderyard/shared/config';
import { createLedger, type Ledger } from '@renderyard/shared/credits/ledger';
import { createJobStore, type JobStore } from '@renderyard/shared/job/job-store';
import { createTicketQueue, type TicketQueue } from '@renderyard/shared/job/ticket-queue';
import { createStoreTimes, measuredStore } from '@renderyard/shared/metrics/measured-store';
import type { Metrics } from '@renderyard/shared/metrics/metrics';
import type { Redis } from '@renderyard/shared/redis/connect';
import { createGeneration, type Generation } from '@renderyard/shared/redis/generation';
import { keyPrefix, queuePrefix } from '@renderyard/shared/redis/keys';
import { loadSecretKey } from '@renderyard/shared/secret-key';
import { openStore } from '@renderyard/shared/store/open-store';
import type { Store } from '@renderyard/shared/store/store';
import { createWebhookStore, type WebhookStore } from '@renderyard/shared/webhook/webhook-store';

/** What all processes work on together: what lies in Redis, and in the store. */
export interface SharedState {
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Generation;
  readonly ledger: Ledger;
  readonly jobs: JobStore;
  readonly queue: TicketQueue;
  readonly states: BatchStates;
  readonly webhooks: WebhookStore;
  readonly store: Store;
  readonly files: BatchFiles;
  /** By which links are signed and secrets of webhooks sealed. */
  readonly secretKey: Buffer;
  /** Closes the queue and the store; the connection is its opener's. */
  close(): Promise<void>;
}

/**
 * Opens what all processes work on, over a connection to Redis.
 * @throws {Error} when there is no SECRET_KEY and none can be kept in DATA_DIR.
 */
export async function openSharedState({
  config,
  redis,
  metrics,
}: {
  readonly config: Config;
  readonly redis: Redis;
  readonly metrics: Metrics;
}): Promise<SharedState> {
  const prefix = keyPrefix(config.REDIS_PREFIX);
  const generation = createGeneration(redis, prefix);
  const inRedis = { redis, prefix, generation };
  const queue = createTicketQueue({ redis, prefix: queuePrefix(config.REDIS_PREFIX) });
  const secretKey = await loadSecretKey({ setting: config.SECRET_KEY, dataDir: config.DATA_DIR });
  const opened = openStore({ ...config, publicUrl: config.PUBLIC_URL, signingKey: secretKey });
  const store = measuredStore(opened, createStoreTimes(metrics));
  return {
    ...inRedis,
    ledger: createLedger(inRedis),
    jobs: createJobStore(inRedis),
    queue,
    states: createBatchStates(inRedis),
    webhooks: createWebhookStore(inRedis),
    store,
    files: createBatchFiles({ store }),
    secretKey,
    close: async () => void (await Promise.all([queue.close(), store.close()])),
  };
}
