import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { createBatchStates } from '@renderyard/shared/batch/batch-states';
import { createBatchViewer } from '@renderyard/shared/batch/batch-viewer';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import { createCreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Check } from '@renderyard/shared/health/readiness';
import { newId } from '@renderyard/shared/ids';
import type { JobStore } from '@renderyard/shared/job/job-store';
import type { TicketQueue } from '@renderyard/shared/job/ticket-queue';
import { createKeyRecords } from '@renderyard/shared/key/key-records';
import { createKeyRing } from '@renderyard/shared/key/key-ring';
import type { Scope } from '@renderyard/shared/key/scope';
import type { Logger } from '@renderyard/shared/logger';
import type { Metrics } from '@renderyard/shared/metrics/metrics';
import type { Recovery } from '@renderyard/shared/recovery/recovery';
import { connectRedis, type Redis } from '@renderyard/shared/redis/connect';
import type { Generation } from '@renderyard/shared/redis/generation';
import { keyPrefix } from '@renderyard/shared/redis/keys';
import type { Roster } from '@renderyard/shared/roster/roster';
import type { Store } from '@renderyard/shared/store/store';
import { createEventComposer } from '@renderyard/shared/webhook/compose-event';
import { createEndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { createWebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { fastify, LogController } from 'fastify';
import { createAccess } from './access/access.ts';
import type { App } from './app-instance.ts';
import { createBatchFinder } from './batches/batch-finder.ts';
import { createImporter } from './batches/intake/importer.ts';
import { createRowJobFinder } from './batches/results/find-row-job.ts';
import { createReceiverLookup } from './deliveries/receiver-lookup.ts';
import { createIdempotencyStore } from './idempotency/idempotency-store.ts';
import { createFeeder } from './jobs/feeder.ts';
import { createJobViewer } from './jobs/job-viewer.ts';
import { createKeyDesk } from './keys/key-desk.ts';
import { createEventStreams, type StreamLimits } from './live/event-streams.ts';
import { createLiveStream } from './live/live-stream.ts';
import type { ApiMetrics } from './metrics/api-metrics.ts';
import { addClosing } from './plugins/closing.ts';
import { addIdempotency } from './plugins/idempotency.ts';
import { addJsonBody, BODY_LIMIT } from './plugins/json-body.ts';
import { allowLoopbackOnly } from './plugins/loopback-only.ts';
import { measureRequests } from './plugins/measure-requests.ts';
import { requireOneHost } from './plugins/one-host.ts';
import { addProblemReplies, answerClientError, sendProblem } from './plugins/problem-replies.ts';
import { refuseOtherStore } from './plugins/refuse-other-store.ts';
import { refuseWhileRebuilding } from './plugins/refuse-while-rebuilding.ts';
import { addRequestRecord } from './plugins/request-record.ts';
import { boundRequestTime } from './plugins/request-time.ts';
import { requireKey, requireScope } from './plugins/require-key.ts';
import { createBeginReading, readSameRedis } from './plugins/same-redis.ts';
import { addSecurityHeaders } from './plugins/security-headers.ts';
import { compileSerializer } from './plugins/serialization.ts';
import { endStuckConnections } from './plugins/stuck-connections.ts';
import { compileSchema } from './plugins/validation.ts';
import { batchActionRoutes } from './routes/batch-actions.ts';
import { batchChangesRoute } from './routes/batch-changes.ts';
import { batchResultsRoutes } from './routes/batch-results.ts';
import { batchRowsRoute } from './routes/batch-rows.ts';
import { batchUploadRoute } from './routes/batch-upload.ts';
import { batchesRoutes } from './routes/batches.ts';
import { creditHistoryRoutes } from './routes/credit-history.ts';
import { creditsRoutes } from './routes/credits.ts';
import { deliveriesRoutes } from './routes/deliveries.ts';
import { eventsRoutes } from './routes/events.ts';
import { healthRoutes } from './routes/health.ts';
import { homeRoute } from './routes/home.ts';
import { jobActionRoutes } from './routes/job-actions.ts';
import { jobDeletionRoute } from './routes/job-deletion.ts';
import { jobImageRoute } from './routes/job-image.ts';
import { jobsRoutes } from './routes/jobs.ts';
import { keysRoutes } from './routes/keys.ts';
import { metricsRoute } from './routes/metrics.ts';
import { modelsRoutes } from './routes/models.ts';
import { openapiRoute } from './routes/openapi.ts';
import { spendRoute } from './routes/spend.ts';
import { storeObjects } from './routes/store-objects.ts';
import { webhookSecretRoutes } from './routes/webhook-secrets.ts';
import { webhookTestRoute } from './routes/webhook-test.ts';
import { webhooksRoutes } from './routes/webhooks.ts';
import { createTurns } from './turns.ts';
import { createEndpointSecrets } from './webhooks/endpoint-secrets.ts';
import type { OwnWebhookChecks } from './webhooks/own-webhook.ts';
import { createDefaultSecretOf, requireDefaultSecret, requireSealingKey } from './webhooks/secret-key-needed.ts';
import { createWebhookUrlGuard } from './webhooks/url-guard.ts';
import { createWebhookDesk } from './webhooks/webhook-desk.ts';

/** A request's head must be there after this long, the whole of it after the next: bounds for senders of a byte a second. */
const HEAD_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** An upload may take this long, as long as its sender never falls silent for {@link REQUEST_TIMEOUT_MS}. */
const UPLOAD_TIMEOUT_MS = 3_600_000;
/** Node looks for requests over their time this often. */
const TIMEOUT_CHECK_MS = 2_000;
/** Characters of one part of a path, percent-encoded: a key of the store fits, three for each of its 900 bytes. */
const MOST_PARAM = 2_800;

export interface AppDeps {
  readonly config: Config;
  readonly redis: Redis;
  /** Where it listens: for a connection of its own to what happens, and so that no webhook is sent there. */
  readonly redisUrl: string;
  readonly jobs: JobStore;
  readonly ledger: Ledger;
  readonly queue: TicketQueue;
  readonly store: Store;
  /** SECRET_KEY: signs the links of the directory store, and seals secrets of webhooks. */
  readonly signingKey: Uint8Array;
  readonly generation: Generation;
  readonly recovery: Recovery;
  /** Who else works on this Redis. */
  readonly roster: Pick<Roster, 'disagreesOn'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly readiness: () => Promise<readonly Check[]>;
  /** Of the process; and what of it this app counts. */
  readonly metrics: Metrics;
  readonly apiMetrics: ApiMetrics;
  /** Milliseconds after which a client that takes nothing of an answer is given up; 30 s if left out. */
  readonly stallMs?: number | undefined;
  /** Milliseconds in which a request must have arrived, and of silence of a sender of an upload; 30 s if left out. */
  readonly requestMs?: number | undefined;
  /** Of streams of events. */
  readonly streamLimits?: StreamLimits | undefined;
}

/** The API as a Fastify instance that does not listen yet. Closing it ends what waits; its dependencies stay open. */
export function createApp(deps: AppDeps): App {
  const { config, redis, jobs, ledger, queue, store, generation, recovery, clock, logger } = deps;
  const prefix = keyPrefix(config.REDIS_PREFIX);

  const app: App = fastify({
    // Our own lines tell of requests and of the start.
    loggerInstance: logger.child({}, { level: 'warn' }) as App['log'],
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => newId('req'),
    requestIdHeader: false,
    trustProxy: false,
    bodyLimit: BODY_LIMIT,
    // Of uploads; what holds for other requests is kept by boundRequestTime.
    requestTimeout: UPLOAD_TIMEOUT_MS,
    http: {
      headersTimeout: HEAD_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      // Refused by requireOneHost, with a problem.
      requireHostHeader: false,
    },
    // Requests on open connections are still served while the server closes; new connections are not taken.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: MOST_PARAM },
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
    clientErrorHandler: answerClientError,
  });
  app.setValidatorCompiler(compileSchema);
  app.setSerializerCompiler(compileSerializer);
  addRequestRecord(app, { logger });
  measureRequests(app, { metrics: deps.apiMetrics });
  addSecurityHeaders(app);
  addClosing(app);
  endStuckConnections(app, { stallMs: deps.stallMs });
  addProblemReplies(app, { generation, recovery });
  const requestMs = deps.requestMs ?? REQUEST_TIMEOUT_MS;
  boundRequestTime(app, { requestMs });
  requireOneHost(app);
  addJsonBody(app);
  if (config.RENDERYARD_API_KEYS.length === 0) allowLoopbackOnly(app);

  const connect = () => connectRedis(deps.redisUrl, 'blocking', logger);
  const live = createLiveStream({ connect, prefix, clock, logger });
  // Before connections are waited for: requests that wait for a job are answered with it as it is, streams end.
  app.addHook('preClose', () => live.close());

  const feedQueue = createFeeder({ jobs, queue, window: config.FEED_WINDOW, clock, logger });
  const viewer = createJobViewer({ ledger, publicUrl: config.PUBLIC_URL, clock });
  const states = createBatchStates({ redis, prefix, generation });
  const files = createBatchFiles({ store });
  const finder = createBatchFinder({ states, files });
  const beginReading = createBeginReading({ redis, prefix, generation });
  const findRowJob = createRowJobFinder({ finder, states, files, jobs, beginReading });
  const importer = createImporter({ config, signingKey: deps.signingKey, store, clock, logger });
  const batchViewer = createBatchViewer({ ledger, config, clock });
  const turns = createTurns({ clock });
  const webhooks: OwnWebhookChecks = {
    checkUrl: createWebhookUrlGuard(config, deps.redisUrl),
    requireSecret: () => requireDefaultSecret(config),
  };
  const batches = { store, files, states, finder, viewer: batchViewer, feedQueue, turns, clock, logger };
  const ring = createKeyRing({ redis, prefix, generation });
  const records = createKeyRecords({ store, logger });
  const access = createAccess({ configured: config.RENDERYARD_API_KEYS, ring, records, recovery, beginReading });
  app.addHook('onReady', () => access.decide());
  const keyDesk = createKeyDesk({ records, ring, clock, logger });
  const decisions = createCreditDecisions({ store });
  const webhookStore = createWebhookStore({ redis, prefix, generation });
  const receivers = createReceiverLookup({ redis, prefix });
  const endpointDecisions = createEndpointDecisions({ store, logger });
  const endpoints = {
    ...{ webhookStore, publicUrl: config.PUBLIC_URL, checkUrl: webhooks.checkUrl, now: () => clock.now() },
    desk: createWebhookDesk({ endpointDecisions, webhookStore, turns, config, clock, logger }),
    secrets: createEndpointSecrets(deps.signingKey),
    composer: createEventComposer({ files, states, ledger, config, clock }),
    requireSealingKey: () => requireSealingKey(config),
    defaultSecretOf: createDefaultSecretOf(config, deps.signingKey),
  };
  app.addHook('onClose', () => importer.close());
  const eventStreams = createEventStreams({
    ...{ live, redis, prefix, clock, limits: deps.streamLimits },
    ...{ finder, batchViewer, viewer, ledger, files, beginReading, jobs, findRowJob, publicUrl: config.PUBLIC_URL },
  });
  deps.apiMetrics.watchStreams(() => eventStreams.places.open);
  const mostWaiting = config.MAX_WAITING_JOBS;

  openapiRoute(app);
  homeRoute(app);
  healthRoutes(app, { readiness: deps.readiness });
  app.register(storeObjects, { store, signingKey: deps.signingKey, clock });
  app.register((scope: App, _options, done) => {
    requireKey(scope, { access });
    requireScope(scope, { read: 'admin', write: 'admin' });
    metricsRoute(scope, { metrics: deps.metrics });
    done();
  });
  app.register(
    (v1: App, _options, done) => {
      requireKey(v1, { access });
      refuseWhileRebuilding(v1, { recovery });
      refuseOtherStore(v1, { roster: deps.roster });
      readSameRedis(v1, { beginReading });
      addIdempotency(v1, { store: createIdempotencyStore({ redis, prefix, secretKey: deps.signingKey }), logger });
      const within = (read: Scope, write: Scope, routes: (scope: App) => void) =>
        v1.register((scope: App, _scopeOptions, ready) => {
          requireScope(scope, { read, write });
          routes(scope);
          ready();
        });
      within('read', 'submit', (scope) => {
        jobsRoutes(scope, { jobs, findRowJob, viewer, feedQueue, live, mostWaiting, clock, webhooks });
        jobActionRoutes(scope, { jobs, findRowJob, queue, viewer, feedQueue, mostWaiting, logger });
        jobImageRoute(scope, { jobs, findRowJob, store });
        jobDeletionRoute(scope, { jobs, findRowJob, store });
        batchUploadRoute(scope, { ...batches, importer, webhooks, idleMs: requestMs });
        batchesRoutes(scope, { ...batches, webhooks });
        batchActionRoutes(scope, batches);
        batchChangesRoute(scope, batches);
        batchRowsRoute(scope, { finder, states, files, jobs, viewer });
        batchResultsRoutes(scope, { finder, states, files, store, config, clock });
        eventsRoutes(scope, eventStreams);
        modelsRoutes(scope);
      });
      within('read', 'credits', (scope) => {
        creditsRoutes(scope, { ...batches, ledger, jobs, queue, config, decisions, access });
        spendRoute(scope, { ledger, clock, access });
      });
      within('credits', 'credits', (scope) => creditHistoryRoutes(scope, { ledger, decisions }));
      within('webhooks', 'webhooks', (scope) => {
        deliveriesRoutes(scope, { store: webhookStore, receivers, publicUrl: config.PUBLIC_URL, clock });
        webhooksRoutes(scope, endpoints);
        webhookSecretRoutes(scope, endpoints);
        webhookTestRoute(scope, endpoints);
      });
      within('admin', 'admin', (scope) => keysRoutes(scope, { desk: keyDesk, ring, clock }));
      done();
    },
    { prefix: '/v1' },
  );
  return app;
}
