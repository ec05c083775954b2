import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Logger } from '@renderyard/shared/logger';
import { connectRedis, type Redis } from '@renderyard/shared/redis/connect';
import type { Generation } from '@renderyard/shared/redis/generation';
import type { Store } from '@renderyard/shared/store/store';
import { createAddressGuard } from '@renderyard/shared/webhook/address-guard';
import { createEventComposer } from '@renderyard/shared/webhook/compose-event';
import { createEndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { createHostLookup } from '@renderyard/shared/webhook/host-lookup';
import { ownPorts } from '@renderyard/shared/webhook/own-ports';
import { createWebhookStore } from '@renderyard/shared/webhook/webhook-store';
import type { WorkerMetrics } from '../metrics/worker-metrics.ts';
import { catchUp } from './catch-up.ts';
import { createDeliverer } from './deliverer.ts';
import { createGuardedAgent } from './guarded-connector.ts';
import { keepDisabled } from './keep-disabled.ts';
import { createRelay } from './relay.ts';
import { createSecretsOf } from './secrets-of.ts';
import { createSender } from './send.ts';

/** The most that connecting may take, in milliseconds, within the time of the whole attempt. */
const MOST_CONNECT_MS = 5000;
/** How often what several processes need to do once is looked after, and how often deliveries are forgotten. */
const TICK_MS = 1000;
const SWEEP_MS = 60_000;
/** How often it is noted in the store for whom deliveries wait. */
const NOTES_MS = 3000;

export interface WebhookingDependencies {
  readonly config: Config;
  readonly redisUrl: string;
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Generation;
  readonly store: Store;
  readonly files: BatchFiles;
  readonly states: BatchStates;
  readonly ledger: Ledger;
  readonly secretKey: Uint8Array;
  /** Notes in the store for whom events wait. */
  readonly noteOwed: () => Promise<void>;
  readonly worker: string;
  readonly clock: Clock;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
  /** Told when a round failed; the next is a second away. */
  readonly onError: (error: unknown) => Promise<void>;
}

/** What a worker does for webhooks, beside rendering: makes deliveries of events, sends them, and keeps their log. */
export function createWebhooking(deps: WebhookingDependencies) {
  const { config, redis, prefix, generation, ledger, worker, clock, logger, onError } = deps;
  const webhooks = createWebhookStore({ redis, prefix, generation });
  const decisions = createEndpointDecisions({ store: deps.store, logger });
  const composer = createEventComposer(deps);
  const guard = createAddressGuard({ allow: config.WEBHOOK_ALLOW_CIDRS, ownPorts: ownPorts(config, deps.redisUrl) });
  const lookup = createHostLookup({ localNames: config.WEBHOOK_ALLOW_CIDRS.length > 0 });
  const connectTimeoutMs = Math.min(MOST_CONNECT_MS, config.WEBHOOK_TIMEOUT_MS);
  const agent = createGuardedAgent({ guard, connectTimeoutMs, lookup });
  const stopped = new AbortController();
  let running: Promise<unknown> | undefined;
  let hasDisabled = true;

  const deliverer = createDeliverer({
    webhooks,
    sender: createSender({ agent, timeoutMs: config.WEBHOOK_TIMEOUT_MS, clock }),
    secretsOf: createSecretsOf({ setting: config.WEBHOOK_SECRET, secretKey: deps.secretKey, logger }),
    timeoutMs: config.WEBHOOK_TIMEOUT_MS,
    scheduleS: config.WEBHOOK_SCHEDULE_S,
    clock,
    logger,
    metrics: deps.metrics,
    onError,
    onDisabled: () => {
      hasDisabled = true;
    },
  });
  const relay = createRelay({
    redis,
    connect: () => connectRedis(deps.redisUrl, 'blocking', logger),
    prefix,
    worker,
    webhooks,
    compose: (event) => composer.compose(event),
    firstWaitMs: (config.WEBHOOK_SCHEDULE_S[0] ?? 0) * 1000,
    onMade: deliverer.wake,
    clock,
    logger,
    onError,
  });

  async function noteDisabled(): Promise<void> {
    if (!hasDisabled && !(await ledger.takeTurn('disabled-webhooks', worker, 5 * TICK_MS))) return;
    await keepDisabled({ webhooks, decisions, clock });
    hasDisabled = false;
  }

  async function noteOwed(): Promise<void> {
    if (await ledger.takeTurn('owed-webhooks', worker, NOTES_MS)) await deps.noteOwed();
  }

  async function sweep(): Promise<void> {
    if (!(await ledger.takeTurn('deliveries', worker, SWEEP_MS))) return;
    const before = clock.now() - config.RETENTION_HOURS * 3_600_000;
    while ((await webhooks.sweep(before)) > 0 && !stopped.signal.aborted);
  }

  async function missed(): Promise<void> {
    const one = { ...deps, webhooks, compose: composer.compose, onMade: deliverer.wake };
    while (!stopped.signal.aborted && (await catchUp(one, stopped.signal)));
  }

  async function loop(step: () => Promise<void>): Promise<void> {
    while (!stopped.signal.aborted) {
      await step().catch((error: unknown) => onError(error).catch(() => undefined));
      await clock.sleep(TICK_MS * (0.75 + Math.random() / 2), stopped.signal);
    }
  }

  return {
    start() {
      relay.start();
      deliverer.start();
      // Each by itself: one that waits for the store, or fails, keeps none of the others.
      running = Promise.all([noteDisabled, noteOwed, sweep, missed].map(loop));
    },
    /** Begins nothing new; resolves when no delivery is on its way. */
    async quiet(): Promise<void> {
      stopped.abort();
      await Promise.all([relay.stop(), deliverer.stop(), running]);
    },
    /** Breaks off what is on its way: it is sent again by another worker. */
    async close(): Promise<void> {
      deliverer.breakOff();
      await agent.destroy();
    },
  };
}
