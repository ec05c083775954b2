import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import { createCreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import { createLedger } from '@renderyard/shared/credits/ledger';
import { reapplyDecision } from '@renderyard/shared/credits/reapply-decision';
import { type Check, createReadiness, STARTING } from '@renderyard/shared/health/readiness';
import { newId } from '@renderyard/shared/ids';
import { createJobStore } from '@renderyard/shared/job/job-store';
import { createTicketQueue } from '@renderyard/shared/job/ticket-queue';
import { createKeyRecords } from '@renderyard/shared/key/key-records';
import { createKeyRing } from '@renderyard/shared/key/key-ring';
import { reapplyKeys } from '@renderyard/shared/key/reapply-keys';
import type { StopPhase } from '@renderyard/shared/lifecycle';
import type { Logger } from '@renderyard/shared/logger';
import { addInstallationMetrics, type InstallationSource } from '@renderyard/shared/metrics/installation-metrics';
import { createStoreTimes, measuredStore, type StoreTimes } from '@renderyard/shared/metrics/measured-store';
import { createMetrics, type Metrics } from '@renderyard/shared/metrics/metrics';
import { startOperationsServer } from '@renderyard/shared/operations/operations-server';
import { createRecovery } from '@renderyard/shared/recovery/recovery';
import { awaitRedis, checkRedis } from '@renderyard/shared/redis/check-redis';
import { connectRedis, type Redis } from '@renderyard/shared/redis/connect';
import { createGeneration, type Generation } from '@renderyard/shared/redis/generation';
import { keyPrefix, queuePrefix } from '@renderyard/shared/redis/keys';
import { describeProcess } from '@renderyard/shared/roster/own-entry';
import { createRoster } from '@renderyard/shared/roster/roster';
import { loadSecretKey } from '@renderyard/shared/secret-key';
import { openStore } from '@renderyard/shared/store/open-store';
import { STATE_VERSION } from '@renderyard/shared/upgrade/state-version';
import { showCidr } from '@renderyard/shared/webhook/cidr';
import { createEndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { reapplyEndpoints } from '@renderyard/shared/webhook/reapply-endpoints';
import { createWebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { createApp } from './app.ts';
import { onFreePort } from './free-port.ts';
import type { StreamLimits } from './live/event-streams.ts';
import { type ApiMetrics, createApiMetrics } from './metrics/api-metrics.ts';

/** Redis may start at the same time as we do. */
const REDIS_PATIENCE_MS = 10_000;
const CLOSE_MS = 3_000;
const WATCHERS_MS = 500;
/** After this long we listen also while Redis is being rebuilt, and say so to who asks. */
const REBUILD_PATIENCE_MS = 1_000;

/** The API as it runs. */
export interface RunningApi {
  readonly url: string;
  /** How to stop it: requests in hand are answered first. */
  phases(): readonly StopPhase[];
  /** Resolves when it cannot go on: what Redis or the store holds is of a newer version. */
  readonly failed: Promise<Error>;
}

/**
 * Puts the API together and has it listen.
 * @throws {RedisUnfitError} when Redis is away for longer than 10 s, or cannot be worked with.
 * @throws {NewerStateError} when Redis or the store holds data of a newer version.
 */
export async function startApi({
  config: given,
  redisUrl,
  redisPatienceMs = REDIS_PATIENCE_MS,
  stallMs,
  requestMs,
  streamLimits,
  metrics = createMetrics({ service: 'api' }),
  clock,
  logger,
  signal,
}: {
  readonly config: Config;
  readonly redisUrl: string;
  readonly redisPatienceMs?: number;
  /** As of {@link AppDeps}. */
  readonly stallMs?: number;
  readonly requestMs?: number;
  readonly streamLimits?: StreamLimits;
  /** Of the process, which has them with its own; a set of this API alone if left out. */
  readonly metrics?: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the start: it throws while Redis is awaited, and waits for nothing more after that. */
  readonly signal?: AbortSignal;
}): Promise<RunningApi> {
  // Whatever is tried again below, each family is made once.
  const measured: Measured = {
    metrics,
    apiMetrics: createApiMetrics(metrics),
    storeTimes: createStoreTimes(metrics),
    foundInstallation: addInstallationMetrics(metrics, { config: given, clock }),
  };
  const watched: Watched = { readiness: async () => [STARTING] };
  const { METRICS_HOST: host, METRICS_PORT: port } = given;
  const readiness = () => watched.readiness();
  const operations =
    port === undefined
      ? undefined
      : await startOperationsServer({ host, port, metrics: () => metrics.read(), readiness, logger });
  const redis = connectRedis(redisUrl, 'api', logger);
  try {
    await awaitRedis(redis, redisPatienceMs, signal);
    for (const warning of await checkRedis(redis)) logger.warn(warning);
    const generation = createGeneration(redis, keyPrefix(given.REDIS_PREFIX));
    const signingKey = await loadSecretKey({ setting: given.SECRET_KEY, dataDir: given.DATA_DIR });
    const own = { redis, redisUrl, generation, signingKey, stallMs, requestMs, streamLimits, clock, logger, signal };
    const listen = (config: Config) => listenWith({ config, watched, measured, ...own });
    const api = given.PORT === 0 ? await onFreePort(given, listen) : await listen(given);
    return {
      url: api.url,
      failed: api.failed,
      phases: () => [
        ...api.phases(),
        { name: 'answer watchers no more', deadlineMs: WATCHERS_MS, stop: () => operations?.close() },
      ],
    };
  } catch (error) {
    redis.disconnect();
    await operations?.close();
    throw error;
  }
}

/** What those who watch are told; the start fills it in. */
interface Watched {
  readiness: () => Promise<readonly Check[]>;
}

/** The metrics of the process, and the families that are filled where things happen. */
interface Measured {
  readonly metrics: Metrics;
  readonly apiMetrics: ApiMetrics;
  readonly storeTimes: StoreTimes;
  readonly foundInstallation: (source: InstallationSource) => void;
}

async function listenWith({
  config,
  watched,
  measured,
  redis,
  redisUrl,
  generation,
  signingKey,
  stallMs,
  requestMs,
  streamLimits,
  clock,
  logger,
  signal,
}: {
  readonly config: Config;
  readonly watched: Watched;
  readonly measured: Measured;
  readonly redis: Redis;
  readonly redisUrl: string;
  readonly generation: Generation;
  readonly signingKey: Buffer;
  readonly stallMs: number | undefined;
  readonly requestMs: number | undefined;
  readonly streamLimits: StreamLimits | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal | undefined;
}): Promise<RunningApi> {
  const prefix = keyPrefix(config.REDIS_PREFIX);
  const store = measuredStore(openStore({ ...config, publicUrl: config.PUBLIC_URL, signingKey }), measured.storeTimes);
  const queue = createTicketQueue({ redis, prefix: queuePrefix(config.REDIS_PREFIX) });
  let fail = (_error: Error) => {};
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const roster = createRoster({
    redis,
    prefix,
    id: newId('api'),
    entry: () => describeProcess({ service: 'api', config, secretKey: signingKey, storeId: recovery.storeId }),
    clock,
    logger,
  });
  const recovery = createRecovery({
    redis,
    prefix,
    generation,
    files: createBatchFiles({ store }),
    store,
    clock,
    logger,
    timeoutMs: config.SEGMIND_TIMEOUT_MS,
    onNewer: fail,
    hasOurStore: () => !roster.disagreesOn('store'),
    olderProcesses: () => roster.olderThan(STATE_VERSION),
  });
  await roster.start();
  recovery.watch();
  const served = new AbortController();
  const waiting = signal === undefined ? served.signal : AbortSignal.any([served.signal, signal]);
  const refused = await Promise.race([recovery.ready(waiting), clock.sleep(REBUILD_PATIENCE_MS, waiting), failed]);
  if (refused !== undefined) {
    served.abort();
    await Promise.all([queue.close(), recovery.stop(), roster.stop()]);
    await store.close();
    throw refused;
  }
  const ledger = createLedger({ redis, prefix, generation });
  // A rebuild does the same. Nobody waits for a store that is away.
  const reapplied = recovery.rebuilding
    ? undefined
    : reapplyDecision({ decisions: createCreditDecisions({ store }), ledger, logger }).catch((error: unknown) =>
        logger.warn({ err: error }, 'the last decision about credits could not be put into force'),
      );
  const keysReapplied = recovery.rebuilding
    ? undefined
    : reapplyKeys({
        records: createKeyRecords({ store, logger }),
        ring: createKeyRing({ redis, prefix, generation }),
        logger,
      });
  const endpointsReapplied = recovery.rebuilding
    ? undefined
    : reapplyEndpoints({
        decisions: createEndpointDecisions({ store, logger }),
        webhooks: createWebhookStore({ redis, prefix, generation }),
        logger,
      });
  if (config.WEBHOOK_ALLOW_CIDRS.length > 0)
    logger.warn(
      { networks: config.WEBHOOK_ALLOW_CIDRS.map(showCidr) },
      'webhooks may reach private networks, as WEBHOOK_ALLOW_CIDRS says',
    );
  let stopping = false;
  const readiness = createReadiness({
    redis,
    store,
    generation,
    recovery,
    prefix,
    clock,
    isStopping: () => stopping,
    checks: [roster.check],
  });
  watched.readiness = readiness;
  measured.foundInstallation({ redis, prefix, generation, recovery, readiness });
  const app = createApp({
    config,
    redis,
    redisUrl,
    jobs: createJobStore({ redis, prefix, generation }),
    ledger,
    queue,
    store,
    signingKey,
    generation,
    recovery,
    roster,
    clock,
    logger,
    readiness,
    metrics: measured.metrics,
    apiMetrics: measured.apiMetrics,
    stallMs,
    requestMs,
    streamLimits,
  });
  const listening: Promise<string> = app.listen({ host: config.HOST, port: config.PORT });
  const url = await listening
    .catch(async (error: unknown) => {
      await Promise.all([app.close(), queue.close(), recovery.stop(), roster.stop()]);
      await store.close();
      throw error;
    })
    .finally(() => served.abort());
  return {
    url,
    failed,
    phases: () => [
      {
        name: 'serve until load balancers have turned away',
        deadlineMs: config.SHUTDOWN_DELAY_MS + CLOSE_MS,
        stop: () => {
          stopping = true;
          return clock.sleep(config.SHUTDOWN_DELAY_MS);
        },
      },
      {
        name: 'answer the requests in hand',
        deadlineMs: config.SHUTDOWN_GRACE_MS,
        stop: () => app.close(),
      },
      {
        name: 'close the queue, the store and Redis',
        deadlineMs: CLOSE_MS,
        stop: async () => {
          await Promise.all([
            queue.close(),
            recovery.stop(),
            roster.stop(),
            reapplied,
            keysReapplied,
            endpointsReapplied,
          ]);
          await store.close();
          redis.disconnect();
        },
      },
    ],
  };
}
