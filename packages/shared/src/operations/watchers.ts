import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { STARTING } from '../health/readiness.ts';
import type { StopPhase } from '../lifecycle.ts';
import type { Logger } from '../logger.ts';
import { addInstallationMetrics, type InstallationSource } from '../metrics/installation-metrics.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { startOperationsServer } from './operations-server.ts';

const CLOSE_MS = 500;

/** Those who watch over a process: they are answered from before its start until the last phase of stopping. */
export interface Watchers {
  /** Whether they have a port of their own. */
  readonly served: boolean;
  /** From now on they are told what is found here; until then, that the process is starting. */
  tell(source: InstallationSource): void;
  /** The last phase of stopping. */
  readonly phase: StopPhase;
  close(): Promise<void>;
}

/**
 * Answers those who watch, at METRICS_PORT if it is set; and adds to the metrics what is told of the whole installation.
 * @throws {Error} when it cannot listen, in words that name METRICS_HOST and METRICS_PORT.
 */
export async function answerWatchers({
  config,
  metrics,
  clock,
  logger,
}: {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
}): Promise<Watchers> {
  const foundInstallation = addInstallationMetrics(metrics, { config, clock });
  let source: InstallationSource | undefined;
  const { METRICS_HOST: host, METRICS_PORT: port } = config;
  const server =
    port === undefined
      ? undefined
      : await startOperationsServer({
          host,
          port,
          metrics: () => metrics.read(),
          readiness: async () => source?.readiness() ?? [STARTING],
          logger,
        });
  const close = async () => server?.close();
  return {
    served: server !== undefined,
    tell(found) {
      source = found;
      foundInstallation(found);
    },
    phase: { name: 'answer watchers no more', deadlineMs: CLOSE_MS, stop: close },
    close,
  };
}
