import { hostname } from 'node:os';
import { join } from 'node:path';
import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { createBatchStates } from '@renderyard/shared/batch/batch-states';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import { createCreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import { estimateCost } from '@renderyard/shared/credits/estimate';
import { createLedger } from '@renderyard/shared/credits/ledger';
import { reapplyDecision } from '@renderyard/shared/credits/reapply-decision';
import { type Check, createReadiness, STARTING } from '@renderyard/shared/health/readiness';
import { newId } from '@renderyard/shared/ids';
import { createFeed } from '@renderyard/shared/job/feed';
import { createJobStore } from '@renderyard/shared/job/job-store';
import { createTicketQueue } from '@renderyard/shared/job/ticket-queue';
import type { StopPhase } from '@renderyard/shared/lifecycle';
import type { Logger } from '@renderyard/shared/logger';
import { addInstallationMetrics } from '@renderyard/shared/metrics/installation-metrics';
import { createStoreTimes, measuredStore } from '@renderyard/shared/metrics/measured-store';
import { createMetrics, type Metrics } from '@renderyard/shared/metrics/metrics';
import { DEFAULT_MODEL } from '@renderyard/shared/model/model';
import { startOperationsServer } from '@renderyard/shared/operations/operations-server';
import { orAborted } from '@renderyard/shared/or-aborted';
import { createRecovery } from '@renderyard/shared/recovery/recovery';
import { awaitRedis, checkRedis } from '@renderyard/shared/redis/check-redis';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { keyPrefix, queuePrefix } from '@renderyard/shared/redis/keys';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { describeProcess } from '@renderyard/shared/roster/own-entry';
import { createRoster } from '@renderyard/shared/roster/roster';
import { loadSecretKey } from '@renderyard/shared/secret-key';
import { openStore } from '@renderyard/shared/store/open-store';
import { STATE_VERSION } from '@renderyard/shared/upgrade/state-version';
import { createEndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { createOwedNotes } from '@renderyard/shared/webhook/owed-note';
import { reapplyEndpoints } from '@renderyard/shared/webhook/reapply-endpoints';
import { createWebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { createFlusher } from './batch/flusher.ts';
import { createKeeping } from './batch/keeping.ts';
import { createProber } from './credits/prober.ts';
import { createFailureLog } from './maintenance/failure-log.ts';
import { createUpkeep } from './maintenance/upkeep.ts';
import { createWorkerMetrics } from './metrics/worker-metrics.ts';
import { createCallsInFlight } from './render/calls-in-flight.ts';
import { render } from './render/render.ts';
import { createRescue } from './render/rescue.ts';
import { createSegmindClient } from './segmind/client.ts';
import { openSpoolFolder } from './segmind/spool-folder.ts';
import type { UpstreamKey } from './segmind/upstream-key.ts';
import { stopPhases } from './stop-worker.ts';
import { createWebhooking } from './webhook/webhooking.ts';
import { createTicketWorker } from './worker.ts';

/** Redis may start at the same time as we do. */
const REDIS_PATIENCE_MS = 10_000;
/** The start waits so long for a Redis that is being rebuilt; after that the worker goes on waiting by itself. */
const REBUILD_PATIENCE_MS = 10_000;
/** How long a ticket waits that a worker with another store than the others was given, in milliseconds. */
const OTHER_STORE_MS = 1000;

/** The upstream's origin. All on this machine are one: a simulator takes another port at each start. */
function upstreamName(baseUrl: string): string {
  const { hostname, origin } = new URL(baseUrl);
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname) ? 'a simulator on this machine' : origin;
}

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
  const { config, clock, logger, metrics = createMetrics({ service: 'worker' }) } = options;
  const prefix = keyPrefix(config.REDIS_PREFIX);
  const worker = newId('wrk');
  const stopping = new AbortController();
  options.signal?.throwIfAborted();
  options.signal?.addEventListener('abort', () => stopping.abort(), { once: true });
  const abort = new AbortController();

  const foundInstallation = addInstallationMetrics(metrics, { config, clock });
  let readiness = async (): Promise<readonly Check[]> => [STARTING];
  const { METRICS_HOST: host, METRICS_PORT: port } = config;
  const operations =
    port === undefined
      ? undefined
      : await startOperationsServer({
          host,
          port,
          metrics: () => metrics.read(),
          readiness: () => readiness(),
          logger,
        });
  const redis = connectRedis(options.redisUrl, 'worker', logger);
  // Those who watch are answered also while Redis is away.
  const watching = connectRedis(options.redisUrl, 'api', logger);
  try {
    await awaitRedis(redis, REDIS_PATIENCE_MS, stopping.signal);
    for (const warning of await orAborted(checkRedis(redis), stopping.signal)) logger.warn(warning);
    if (operations !== undefined) watching.connect().catch(() => undefined);
  } catch (error) {
    redis.disconnect();
    await operations?.close();
    throw error;
  }
  const generation = createGeneration(redis, prefix);
  const ledger = createLedger({ redis, prefix, generation });
  const jobs = createJobStore({ redis, prefix, generation });
  const queue = createTicketQueue({ redis, prefix: queuePrefix(config.REDIS_PREFIX) });
  const signingKey = await loadSecretKey({ setting: config.SECRET_KEY, dataDir: config.DATA_DIR });
  const store = measuredStore(
    openStore({ ...config, publicUrl: config.PUBLIC_URL, signingKey }),
    createStoreTimes(metrics),
  );
  const spool = await openSpoolFolder(join(options.dataFolder, 'spool'), { host: hostname(), pid: process.pid });
  const segmind = createSegmindClient({
    baseUrl: config.SEGMIND_BASE_URL,
    key: options.key,
    timeoutMs: config.SEGMIND_TIMEOUT_MS,
    maxImageBytes: config.MAX_IMAGE_BYTES,
    spoolFolder: spool.path,
    clock,
  });
  const estimate = estimateCost({ model: DEFAULT_MODEL, steps: 30, width: 1024, height: 1024 }, config.CREDIT_ESTIMATE);
  const limits = { floor: config.floor, low: config.low, resume: config.resume };
  const files = createBatchFiles({ store });
  const states = createBatchStates({ redis, prefix, generation });
  const prober = createProber({
    segmind,
    key: options.key,
    clock,
    ledger,
    worker,
    floor: config.floor,
    resume: config.resume,
    slots: config.SEGMIND_CONCURRENCY,
    estimate,
    logger,
    signal: abort.signal,
  });
  const calls = createCallsInFlight({ ledger, logger });
  const rescue = createRescue({ folder: join(options.dataFolder, 'rescue'), logger });
  const window = config.FEED_WINDOW;
  const feedQueue = createFeed({ jobs, queue, window });

  const webhooks = createWebhookStore({ redis, prefix, generation });
  const noteOwed = createOwedNotes({ webhooks, store });
  const flusher = createFlusher({ states, files, store, logger, dataFolder: options.dataFolder, noteOwed });
  let fail = (_error: Error) => {};
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const roster = createRoster({
    redis,
    prefix,
    id: worker,
    entry: () => describeProcess({ service: 'worker', config, secretKey: signingKey, storeId: recovery.storeId }),
    clock,
    logger,
  });
  const recovery = createRecovery({
    redis,
    prefix,
    generation,
    files,
    store,
    clock,
    logger,
    timeoutMs: config.SEGMIND_TIMEOUT_MS,
    worker: { id: worker, busy: () => calls.size + flusher.active },
    onNewer: fail,
    hasOurStore: () => !roster.disagreesOn('store'),
    olderProcesses: () => roster.olderThan(STATE_VERSION),
  });

  readiness = createReadiness({
    redis: watching,
    store,
    generation,
    recovery,
    prefix,
    clock,
    isStopping: () => stopping.signal.aborted,
    checks: [
      roster.check,
      () => ({
        name: 'tickets',
        ok: tickets.taking,
        detail: tickets.taking ? 'Tickets are taken.' : 'No tickets are taken yet.',
      }),
    ],
  });

  foundInstallation({ redis: watching, prefix, generation, recovery, readiness });

  const { onError, onRound } = createFailureLog({ recovery, clock, logger });

  const workerMetrics = createWorkerMetrics(metrics, { tickets: () => tickets.active });
  const tickets = createTicketWorker({
    redis,
    prefix: queuePrefix(config.REDIS_PREFIX),
    queue,
    concurrency: config.WORKER_CONCURRENCY,
    perMinute: config.SEGMIND_RPM,
    lockMs: config.LOCK_MS,
    logger,
    render: async (ticket) => {
      // Found out only after work had begun: with another store its rows are not there, and its images go astray.
      if (roster.disagreesOn('store')) return { kind: 'deferred', reason: 'busy', afterMs: OTHER_STORE_MS };
      return render(ticket, {
        jobs,
        files,
        states,
        generation,
        ledger,
        prober,
        store,
        segmind,
        calls,
        rescue,
        clock,
        logger,
        metrics: workerMetrics,
        worker,
        creditEstimate: config.CREDIT_ESTIMATE,
        limits: {
          floor: config.floor,
          slots: config.SEGMIND_CONCURRENCY,
          perMinute: config.SEGMIND_RPM,
          timeoutMs: config.SEGMIND_TIMEOUT_MS,
          trialMs: config.CREDIT_PROBE_MS,
        },
        policy: {
          attempts: config.RENDER_ATTEMPTS,
          backoffMs: config.RENDER_BACKOFF_MS,
          uncertainRetries: config.UNCERTAIN_RETRIES,
          trialMs: config.CREDIT_PROBE_MS,
        },
        stopping: stopping.signal,
        abort: abort.signal,
      });
    },
    onEnding: (ending) => {
      if (ending.kind === 'deferred' && ending.reason === 'rate') queue.rateLimit(ending.afterMs).catch(onError);
      if (!stopping.signal.aborted) feedQueue().catch(onError);
    },
  });
  const upkeep = createUpkeep({
    ledger,
    jobs,
    queue,
    store,
    prober,
    key: options.key,
    clock,
    logger,
    worker,
    window,
    trialMs: config.CREDIT_PROBE_MS,
    limits,
    retentionMs: config.RETENTION_HOURS * 3_600_000,
    onError,
    onRound,
  });
  const webhooking = createWebhooking({
    config,
    redisUrl: options.redisUrl,
    redis,
    prefix,
    generation,
    store,
    files,
    states,
    ledger,
    secretKey: signingKey,
    noteOwed,
    worker,
    clock,
    logger,
    metrics: workerMetrics,
    onError,
  });
  const keeping = createKeeping({ flusher, states, files, store, ledger, clock, logger, worker, onError });

  await orAborted(rescue.storeKept(store), stopping.signal).catch((error: unknown) => {
    if (!stopping.signal.aborted)
      logger.error({ err: error }, 'paid images that an earlier process kept on disk cannot be stored yet');
  });
  const begin = async (): Promise<void> => {
    await recovery.ready(stopping.signal);
    // Rows that lie in another store cannot be read here, and nobody would find what was paid for.
    await roster.agreedOn(['store'], stopping.signal);
    if (stopping.signal.aborted) return;
    try {
      const { was, waiting } = await ledger.meetUpstream(upstreamName(config.SEGMIND_BASE_URL), limits);
      if (was !== undefined) logger.warn({ was, held_jobs: waiting }, 'the upstream is another one than before');
      await reapplyDecision({ decisions: createCreditDecisions({ store }), ledger, logger });
      await reapplyEndpoints({ decisions: createEndpointDecisions({ store, logger }), webhooks, logger });
    } catch (error) {
      if (!(error instanceof GenerationLostError)) throw error;
      await recovery.ensure();
      return begin();
    }
    if (stopping.signal.aborted) return;
    upkeep.start();
    keeping.start();
    tickets.run();
    // What is signed with another secret nobody can verify. Other workers send it, or this one when it agrees.
    await roster.agreedOn(['SECRET_KEY', 'WEBHOOK_SECRET'], stopping.signal);
    if (!stopping.signal.aborted) webhooking.start();
  };
  // What waits for a store, or for the calls of others, is no reason to take this process for broken.
  await orAborted(roster.start(), stopping.signal).catch(() => undefined);
  recovery.watch();
  const began = begin();
  const refused = await Promise.race([began, clock.sleep(REBUILD_PATIENCE_MS, stopping.signal), failed]);
  if (refused !== undefined) {
    stopping.abort();
    calls.stop();
    await Promise.all([recovery.stop(), roster.stop(), queue.close(), segmind.close(), store.close(), spool.remove()]);
    watching.disconnect();
    redis.disconnect();
    await operations?.close();
    throw refused;
  }
  began.catch((error: unknown) => logger.fatal({ err: error }, 'the worker cannot begin'));

  return {
    failed,
    phases: () =>
      stopPhases({
        graceMs: config.SHUTDOWN_GRACE_MS,
        ...{ stopping, abort, tickets, webhooking, calls, redis, roster, operations },
        loops: [upkeep, keeping, recovery],
        close: async () => {
          await Promise.all([queue.close(), segmind.close(), store.close(), spool.remove()]);
          watching.disconnect();
        },
      }),
  };
}
