import { join } from 'node:path';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import { estimateCost } from '@renderyard/shared/credits/estimate';
import { type Check, createReadiness } from '@renderyard/shared/health/readiness';
import { newId } from '@renderyard/shared/ids';
import type { StopPhase } from '@renderyard/shared/lifecycle';
import type { Logger } from '@renderyard/shared/logger';
import { createMember } from '@renderyard/shared/member';
import { createMetrics, type Metrics } from '@renderyard/shared/metrics/metrics';
import { DEFAULT_MODEL } from '@renderyard/shared/model/model';
import { answerWatchers } from '@renderyard/shared/operations/watchers';
import { awaitFitRedis } from '@renderyard/shared/redis/check-redis';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { createOwedNotes } from '@renderyard/shared/webhook/owed-note';
import { createFlusher } from './batch/flusher.ts';
import { createKeeping } from './batch/keeping.ts';
import { beginWork } from './begin-work.ts';
import { createProber } from './credits/prober.ts';
import { createFailureLog } from './maintenance/failure-log.ts';
import { createUpkeep } from './maintenance/upkeep.ts';
import { createWorkerMetrics } from './metrics/worker-metrics.ts';
import { createCallsInFlight } from './render/calls-in-flight.ts';
import { createKeptImages } from './render/kept-images.ts';
import { createRescue } from './render/rescue.ts';
import { createRendering } from './rendering.ts';
import { openUpstream } from './segmind/open-upstream.ts';
import type { UpstreamKey } from './segmind/upstream-key.ts';
import { openSharedState } from './shared-state.ts';
import { stopPhases } from './stop-worker.ts';
import { createWebhooking } from './webhook/webhooking.ts';

/** Redis may start at the same time as we do. */
const REDIS_PATIENCE_MS = 10_000;
/** The start waits so long for a Redis that is being rebuilt; after that the worker goes on waiting by itself. */
const REBUILD_PATIENCE_MS = 10_000;

/** A worker as it runs. */
interface RunningWorker {
  readonly phases: () => readonly StopPhase[];
  /** Resolves when it cannot go on: what Redis or the store holds is of a newer version, or the store is another's. */
  readonly failed: Promise<Error>;
}

/**
 * Puts a worker together and starts it. Resolves when it takes tickets.
 * @throws {RedisUnfitError} when Redis is away for longer than 10 s, or cannot be worked with.
 * @throws {NewerStateError} when Redis or the store holds data of a newer version.
 */
export async function startWorker(options: {
  readonly config: Config;
  readonly redisUrl: string;
  readonly key: UpstreamKey;
  /** For large bodies on their way, and paid images that could not be stored yet. */
  readonly dataFolder: string;
  /** Of the process, which has them with its own; a set of this worker alone if left out. */
  readonly metrics?: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the start: it throws while Redis is awaited, and waits for nothing more after that. */
  readonly signal?: AbortSignal;
}): Promise<RunningWorker> {
  const { config, redisUrl, key, dataFolder, clock, logger, metrics = createMetrics({ service: 'worker' }) } = options;
  const worker = newId('wrk');
  const stopping = new AbortController();
  options.signal?.throwIfAborted();
  options.signal?.addEventListener('abort', () => stopping.abort(), { once: true });
  const abort = new AbortController();

  const watchers = await answerWatchers({ config, metrics, clock, logger });
  const redis = connectRedis(redisUrl, 'worker', logger);
  // Those who watch are answered also while Redis is away.
  const watching = connectRedis(redisUrl, 'api', logger);
  try {
    await awaitFitRedis(redis, { patienceMs: REDIS_PATIENCE_MS, logger, signal: stopping.signal });
    if (watchers.served) watching.connect().catch(() => undefined);
  } catch (error) {
    redis.disconnect();
    await watchers.close();
    throw error;
  }
  const state = await openSharedState({ config, redis, metrics });
  const upstream = await openUpstream({ config, key, dataFolder, clock });
  const { prefix, generation, ledger, store } = state;
  const { segmind } = upstream;
  const close = async () => {
    await Promise.all([state.close(), upstream.close()]);
    watching.disconnect();
  };
  const limits = { floor: config.floor, low: config.low, resume: config.resume };
  const prober = createProber({
    ...{ segmind, key, clock, ledger, worker, logger },
    ...{ floor: config.floor, resume: config.resume, slots: config.SEGMIND_CONCURRENCY },
    estimate: estimateCost({ model: DEFAULT_MODEL, steps: 30, width: 1024, height: 1024 }, config.CREDIT_ESTIMATE),
    signal: abort.signal,
  });
  const calls = createCallsInFlight({ ledger, logger });
  const rescue = createRescue({ folder: join(dataFolder, 'rescue'), logger });
  const noteOwed = createOwedNotes(state);
  const flusher = createFlusher({ ...state, logger, dataFolder, noteOwed });
  const busy = () => calls.size + flusher.active;
  const member = createMember({ ...state, service: 'worker', id: worker, config, busy, clock, logger });
  const { roster, recovery } = member;

  const takesTickets = (): Check => ({
    name: 'tickets',
    ok: tickets.taking,
    detail: tickets.taking ? 'Tickets are taken.' : 'No tickets are taken yet.',
  });
  const watched = { redis: watching, prefix, generation, recovery };
  const isStopping = () => stopping.signal.aborted;
  const readiness = createReadiness({ ...watched, store, clock, isStopping, checks: [roster.check, takesTickets] });
  watchers.tell({ ...watched, readiness });

  const { onError, onRound } = createFailureLog({ recovery, clock, logger });
  const workerMetrics = createWorkerMetrics(metrics, { tickets: () => tickets.active });
  const tickets = createRendering({
    ...{ config, state, segmind, prober, calls, rescue, roster, worker, clock, logger, onError },
    ...{ metrics: workerMetrics, stopping: stopping.signal, abort: abort.signal },
  });
  const upkeep = createUpkeep({
    ...state,
    ...{ prober, key, clock, logger, worker, limits, onError, onRound },
    window: config.FEED_WINDOW,
    trialMs: config.CREDIT_PROBE_MS,
    retentionMs: config.RETENTION_HOURS * 3_600_000,
  });
  const webhooking = createWebhooking({
    ...state,
    ...{ config, redisUrl, noteOwed, worker, clock, logger, metrics: workerMetrics, onError },
  });
  const keeping = createKeeping({ ...state, flusher, clock, logger, worker, onError });

  const keptImages = createKeptImages({ rescue, store, logger, stopping: stopping.signal });
  await member.join(stopping.signal, keptImages.storeIfOurs);
  const parts = { upkeep, keeping, tickets, webhooking };
  const began = beginWork({ config, member, state, keptImages, parts, logger, stopping: stopping.signal });
  const refused = await member.refusedWithin(REBUILD_PATIENCE_MS, began, stopping.signal);
  if (refused !== undefined) {
    stopping.abort();
    calls.stop();
    await Promise.all([member.leave(), close()]);
    redis.disconnect();
    await watchers.close();
    throw refused;
  }
  began.catch((error: unknown) => logger.fatal({ err: error }, 'the worker cannot begin'));

  return {
    failed: member.failed,
    phases: () =>
      stopPhases({
        graceMs: config.SHUTDOWN_GRACE_MS,
        ...{ stopping, abort, tickets, webhooking, calls, redis, roster, watchers, close },
        loops: [upkeep, keeping, recovery],
      }),
  };
}
