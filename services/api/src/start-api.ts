import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import type { Logger } from '@renderyard/shared/logger';
import { createStoreTimes } from '@renderyard/shared/metrics/measured-store';
import { createMetrics, type Metrics } from '@renderyard/shared/metrics/metrics';
import { answerWatchers } from '@renderyard/shared/operations/watchers';
import { awaitFitRedis } from '@renderyard/shared/redis/check-redis';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { keyPrefix } from '@renderyard/shared/redis/keys';
import { loadSecretKey } from '@renderyard/shared/secret-key';
import { onFreePort } from './free-port.ts';
import type { StreamLimits } from './live/event-streams.ts';
import { createApiMetrics } from './metrics/api-metrics.ts';
import { type RunningApi, serve } from './serve.ts';

/** Redis may start at the same time as we do. */
const REDIS_PATIENCE_MS = 10_000;

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
  // Whatever port is tried below, each family is made once.
  const measured = { metrics, apiMetrics: createApiMetrics(metrics), storeTimes: createStoreTimes(metrics) };
  const watchers = await answerWatchers({ config: given, metrics, clock, logger });
  const redis = connectRedis(redisUrl, 'api', logger);
  try {
    await awaitFitRedis(redis, { patienceMs: redisPatienceMs, logger, signal });
    const generation = createGeneration(redis, keyPrefix(given.REDIS_PREFIX));
    const signingKey = await loadSecretKey({ setting: given.SECRET_KEY, dataDir: given.DATA_DIR });
    const limits = { stallMs, requestMs, streamLimits };
    const own = { redis, redisUrl, generation, signingKey, watchers, limits, clock, logger, signal, ...measured };
    const listen = (config: Config) => serve({ config, ...own });
    const api = given.PORT === 0 ? await onFreePort(given, listen) : await listen(given);
    return { ...api, phases: () => [...api.phases(), watchers.phase] };
  } catch (error) {
    redis.disconnect();
    await watchers.close();
    throw error;
  }
}
