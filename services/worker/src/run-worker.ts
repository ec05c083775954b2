import { join } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig, requireRedisUrl } from '@renderyard/shared/config';
import { createKnownSecrets } from '@renderyard/shared/known-secrets';
import { createLogger } from '@renderyard/shared/logger';
import { createMetrics } from '@renderyard/shared/metrics/metrics';
import { type Environment, SettingsError } from '@renderyard/shared/settings';
import { startStoppable } from '@renderyard/shared/start-stoppable';
import { startTracing } from '@renderyard/shared/tracing/start-tracing';
import { checkDataFolder } from './check-data-folder.ts';
import { createUpstreamKey } from './segmind/upstream-key.ts';
import { startWorker } from './start-worker.ts';

/**
 * This process as a worker. Resolves when it runs, or was told to stop before; one that cannot start ends with code 1.
 * @param handOver called once the signals that end a process are handled here.
 */
export async function runWorker({
  env,
  handOver,
}: {
  readonly env: Environment;
  readonly handOver: () => void;
}): Promise<void> {
  try {
    await start(env, handOver);
  } catch (error) {
    process.stderr.write(
      error instanceof SettingsError
        ? `${error.message}\n`
        : `The worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
    );
    process.exit(1);
  }
}

async function start(env: Environment, handOver: () => void): Promise<void> {
  const config = readConfig(env);
  const redisUrl = requireRedisUrl(config);
  const secrets = createKnownSecrets([env.AWS_SECRET_ACCESS_KEY]);
  const logger = createLogger({ service: 'worker', level: config.LOG_LEVEL, secrets });
  const key = await createUpstreamKey({
    setting: config.SEGMIND_API_KEY,
    file: config.SEGMIND_API_KEY_FILE,
    secrets,
    logger,
  });
  const dataFolder = join(config.DATA_DIR, 'worker');
  await checkDataFolder(dataFolder, logger);
  const metrics = createMetrics({ service: 'worker', ofProcess: true });
  const tracing = await startTracing({ service: 'worker', env, logger });
  const starting = startStoppable({
    start: async (signal) => {
      const worker = await startWorker({
        ...{ config, redisUrl, key, dataFolder, metrics, clock: systemClock, logger, signal },
      });
      return { ...worker, phases: () => [...worker.phases(), ...tracing.phases] };
    },
    logger,
    process,
  });
  handOver();
  if ((await starting) === undefined) return;
  logger.info(
    { concurrency: config.WORKER_CONCURRENCY, calls_a_minute: config.SEGMIND_RPM, upstream: config.SEGMIND_BASE_URL },
    'the worker takes tickets',
  );
  process.send?.({ ready: true });
}
