import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import { createLedger } from '@renderyard/shared/credits/ledger';
import { createReadiness } from '@renderyard/shared/health/readiness';
import { newId } from '@renderyard/shared/ids';
import { createJobStore } from '@renderyard/shared/job/job-store';
import { createTicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { StopPhase } from '@renderyard/shared/lifecycle';
import type { Logger } from '@renderyard/shared/logger';
import { createMember } from '@renderyard/shared/member';
import { measuredStore, type StoreTimes } from '@renderyard/shared/metrics/measured-store';
import type { Metrics } from '@renderyard/shared/metrics/metrics';
import type { Watchers } from '@renderyard/shared/operations/watchers';
import type { Redis } from '@renderyard/shared/redis/connect';
import type { Generation } from '@renderyard/shared/redis/generation';
import { keyPrefix, queuePrefix } from '@renderyard/shared/redis/keys';
import { openStore } from '@renderyard/shared/store/open-store';
import { showCidr } from '@renderyard/shared/webhook/cidr';
import { type AppDeps, createApp } from './app.ts';
import type { ApiMetrics } from './metrics/api-metrics.ts';
import { reapplyDecisions } from './reapply-decisions.ts';

const CLOSE_MS = 3_000;
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
 * Makes this process one of those that work on this Redis and store, and serves the API at a port that is known: links
 * are made with it. What it opened itself is closed again where it cannot.
 * @throws {NewerStateError} when Redis or the store holds data of a newer version.
 * @throws what `listen` of `node:net` does, such as EADDRINUSE.
 */
export async function serve({
  config,
  redis,
  redisUrl,
  generation,
  signingKey,
  watchers,
  metrics,
  apiMetrics,
  storeTimes,
  limits,
  clock,
  logger,
  signal,
}: {
  /** `PORT` is not 0. */
  readonly config: Config;
  readonly redis: Redis;
  readonly redisUrl: string;
  readonly generation: Generation;
  readonly signingKey: Buffer;
  readonly watchers: Watchers;
  readonly metrics: Metrics;
  readonly apiMetrics: ApiMetrics;
  readonly storeTimes: StoreTimes;
  readonly limits: Pick<AppDeps, 'stallMs' | 'requestMs' | 'streamLimits'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the start: nothing is waited for any more. */
  readonly signal: AbortSignal | undefined;
}): Promise<RunningApi> {
  const prefix = keyPrefix(config.REDIS_PREFIX);
  const inRedis = { redis, prefix, generation };
  const store = measuredStore(openStore({ ...config, publicUrl: config.PUBLIC_URL, signingKey }), storeTimes);
  const queue = createTicketQueue({ redis, prefix: queuePrefix(config.REDIS_PREFIX) });
  const member = createMember({
    ...{ ...inRedis, service: 'api', id: newId('api'), config, secretKey: signingKey },
    ...{ files: createBatchFiles({ store }), store, clock, logger },
  });
  const { roster, recovery } = member;
  await member.join();
  const served = new AbortController();
  const waiting = signal === undefined ? served.signal : AbortSignal.any([served.signal, signal]);
  const refused = await member.refusedWithin(REBUILD_PATIENCE_MS, recovery.ready(waiting), waiting);
  if (refused !== undefined) {
    served.abort();
    await Promise.all([queue.close(), member.leave()]);
    await store.close();
    throw refused;
  }
  const ledger = createLedger(inRedis);
  const closing = new AbortController();
  /** Never of a store that is not that of Redis: whoever has a key there would have one here. */
  const reapply = async () => {
    await roster.agreedOn(['store'], closing.signal);
    if (!closing.signal.aborted) await reapplyDecisions({ ...inRedis, ledger, store, logger });
  };
  // A rebuild does the same. Nobody waits for a store that is away.
  const reapplied = recovery.rebuilding ? undefined : reapply();
  if (config.WEBHOOK_ALLOW_CIDRS.length > 0)
    logger.warn(
      { networks: config.WEBHOOK_ALLOW_CIDRS.map(showCidr) },
      'webhooks may reach private networks, as WEBHOOK_ALLOW_CIDRS says',
    );
  let stopping = false;
  const isStopping = () => stopping;
  const readiness = createReadiness({ ...inRedis, store, recovery, clock, isStopping, checks: [roster.check] });
  watchers.tell({ ...inRedis, recovery, readiness });
  const jobs = createJobStore(inRedis);
  const app = createApp({
    ...{ config, redis, redisUrl, jobs, ledger, queue, store, signingKey, generation, recovery, roster },
    ...{ clock, logger, readiness, metrics, apiMetrics, ...limits },
  });
  const listening: Promise<string> = app.listen({ host: config.HOST, port: config.PORT });
  const url = await listening
    .catch(async (error: unknown) => {
      closing.abort();
      await Promise.all([app.close(), queue.close(), member.leave()]);
      await store.close();
      throw error;
    })
    .finally(() => served.abort());
  return {
    url,
    failed: member.failed,
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
          closing.abort();
          await Promise.all([queue.close(), member.leave(), reapplied]);
          await store.close();
          redis.disconnect();
        },
      },
    ],
  };
}
