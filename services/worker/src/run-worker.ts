import { join } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig, requireRedisUrl } from '@renderyard/shared/config';
import { createKnownSecrets } from '@renderyard/shared/known-secrets';
import { createLogger } from '@renderyard/shared/logger';
import { createMetrics } from '@renderyard/shared/metrics/metrics';
import { runService } from '@renderyard/shared/run-service';
import type { Environment } from '@renderyard/shared/settings';
import { startTracing } from '@renderyard/shared/tracing/start-tracing';
import { checkDataFolder } from './check-data-folder.ts';
import { createUpstreamKey } from './segmind/upstream-key.ts';
import { startWorker } from './start-worker.ts';

/** This process as a worker; see {@link runService}. */
export function runWorker({
  env,
  handOver,
}: {
  readonly env: Environment;
  readonly handOver: () => void;
}): Promise<void> {
  return runService({ name: 'The worker', prepare: () => prepare(env), handOver });
}

async function prepare(env: Environment) {
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
  return {
    logger,
    start: (signal: AbortSignal) =>
      startWorker({ config, redisUrl, key, dataFolder, metrics, clock: systemClock, logger, signal }),
    after: tracing.phases,
    started: () =>
      logger.info(
        {
          concurrency: config.WORKER_CONCURRENCY,
          calls_a_minute: config.SEGMIND_RPM,
          upstream: config.SEGMIND_BASE_URL,
        },
        'the worker takes tickets',
      ),
  };
}
