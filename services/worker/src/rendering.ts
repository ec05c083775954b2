import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import { createFeed } from '@renderyard/shared/job/feed';
import type { Logger } from '@renderyard/shared/logger';
import { queuePrefix } from '@renderyard/shared/redis/keys';
import type { Roster } from '@renderyard/shared/roster/roster';
import type { Prober } from './credits/prober.ts';
import type { WorkerMetrics } from './metrics/worker-metrics.ts';
import type { CallsInFlight } from './render/calls-in-flight.ts';
import { render } from './render/render.ts';
import type { RenderDependencies } from './render/render-dependencies.ts';
import type { Rescue } from './render/rescue.ts';
import type { SegmindClient } from './segmind/client.ts';
import type { SharedState } from './shared-state.ts';
import { createTicketWorker, type TicketWorker } from './worker.ts';

/** How long a ticket waits that a worker with another store than the others was given, in milliseconds. */
const OTHER_STORE_MS = 1000;

export interface RenderingDependencies {
  readonly config: Config;
  readonly state: SharedState;
  readonly segmind: SegmindClient;
  readonly prober: Prober;
  readonly calls: CallsInFlight;
  readonly rescue: Rescue;
  readonly roster: Pick<Roster, 'disagreesOn'>;
  readonly metrics: WorkerMetrics;
  readonly worker: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborts when the worker stops taking work, and when calls in flight can be waited for no longer. */
  readonly stopping: AbortSignal;
  readonly abort: AbortSignal;
  /** Told when the queue could not be told or fed. */
  readonly onError: (error: unknown) => Promise<void>;
}

/** What a worker is for: it takes tickets and renders their jobs, and feeds the queue as places in it become free. */
export function createRendering(deps: RenderingDependencies): TicketWorker {
  const { config, state, roster, stopping, onError } = deps;
  const { redis, jobs, queue } = state;
  const feedQueue = createFeed({ jobs, queue, window: config.FEED_WINDOW });
  const ofRender = renderDependencies(deps);
  return createTicketWorker({
    redis,
    prefix: queuePrefix(config.REDIS_PREFIX),
    queue,
    concurrency: config.WORKER_CONCURRENCY,
    perMinute: config.SEGMIND_RPM,
    lockMs: config.LOCK_MS,
    logger: deps.logger,
    render: async (ticket) => {
      // Found out only after work had begun: with another store its rows are not there, and its images go astray.
      if (roster.disagreesOn('store')) return { kind: 'deferred', reason: 'busy', afterMs: OTHER_STORE_MS };
      return render(ticket, ofRender);
    },
    onEnding: (ending) => {
      if (ending.kind === 'deferred' && ending.reason === 'rate') queue.rateLimit(ending.afterMs).catch(onError);
      if (!stopping.aborted) feedQueue().catch(onError);
    },
  });
}

/** What the render of a ticket needs, with the limits and the policy that the settings say. */
function renderDependencies({ config, state, ...deps }: RenderingDependencies): RenderDependencies {
  const { jobs, files, states, generation, ledger, store } = state;
  const trialMs = config.CREDIT_PROBE_MS;
  return {
    ...deps,
    ...{ jobs, files, states, generation, ledger, store },
    creditEstimate: config.CREDIT_ESTIMATE,
    limits: {
      floor: config.floor,
      slots: config.SEGMIND_CONCURRENCY,
      perMinute: config.SEGMIND_RPM,
      timeoutMs: config.SEGMIND_TIMEOUT_MS,
      trialMs,
    },
    policy: {
      attempts: config.RENDER_ATTEMPTS,
      backoffMs: config.RENDER_BACKOFF_MS,
      uncertainRetries: config.UNCERTAIN_RETRIES,
      trialMs,
    },
  };
}
