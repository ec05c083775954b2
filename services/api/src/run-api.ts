import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { createMetrics } from '@renderyard/shared/metrics/metrics';
import { runService } from '@renderyard/shared/run-service';
import { readSecretFiles } from '@renderyard/shared/secret-files';
import type { Environment } from '@renderyard/shared/settings';
import { startTracing } from '@renderyard/shared/tracing/start-tracing';
import { readApiSettings, shortKeys } from './api-settings.ts';
import type { RunningApi } from './serve.ts';
import { startApi } from './start-api.ts';

/** This process as an API; see {@link runService}. */
export function runApi({ env, handOver }: { readonly env: Environment; readonly handOver: () => void }): Promise<void> {
  return runService({ name: 'The API', portSetting: 'PORT', prepare: () => prepare(env), handOver });
}

async function prepare(env: Environment) {
  const { config, redisUrl } = readApiSettings(env);
  const logger = createLogger({
    service: 'api',
    level: config.LOG_LEVEL,
    secrets: [config.SEGMIND_API_KEY, env.AWS_SECRET_ACCESS_KEY],
  });
  for (const name of shortKeys(readSecretFiles(env).env))
    logger.warn({ key: name }, 'an API key is shorter than 16 characters and can be guessed; give it a longer secret');
  const metrics = createMetrics({ service: 'api', ofProcess: true });
  const tracing = await startTracing({ service: 'api', env, logger });
  return {
    logger,
    start: (signal: AbortSignal) => startApi({ config, redisUrl, metrics, clock: systemClock, logger, signal }),
    after: tracing.phases,
    started: ({ url }: RunningApi) => logger.info({ url }, 'the API listens'),
  };
}
