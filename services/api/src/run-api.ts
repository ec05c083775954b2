import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { createMetrics } from '@renderyard/shared/metrics/metrics';
import { RedisUnfitError } from '@renderyard/shared/redis/check-redis';
import { readSecretFiles } from '@renderyard/shared/secret-files';
import { type Environment, SettingsError } from '@renderyard/shared/settings';
import { startStoppable } from '@renderyard/shared/start-stoppable';
import { startTracing } from '@renderyard/shared/tracing/start-tracing';
import { readApiSettings, shortKeys } from './api-settings.ts';
import { startApi } from './start-api.ts';

/**
 * This process as an API. Resolves when it runs, or was told to stop before; one that cannot start ends with code 1.
 * @param handOver called once the signals that end a process are handled here.
 */
export async function runApi({
  env,
  handOver,
}: {
  readonly env: Environment;
  readonly handOver: () => void;
}): Promise<void> {
  try {
    await start(env, handOver);
  } catch (error) {
    process.stderr.write(`${reason(error)}\n`);
    process.exit(1);
  }
}

async function start(env: Environment, handOver: () => void): Promise<void> {
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
  const starting = startStoppable({
    start: async (signal) => {
      const api = await startApi({ config, redisUrl, metrics, clock: systemClock, logger, signal });
      return { ...api, phases: () => [...api.phases(), ...tracing.phases] };
    },
    logger,
    process,
  });
  handOver();
  const api = await starting;
  if (api === undefined) return;
  logger.info({ url: api.url }, 'the API listens');
  process.send?.({ ready: true, url: api.url });
}

/** One clear line for what a person can put right. */
function reason(error: unknown): string {
  if (error instanceof SettingsError) return error.message;
  if (error instanceof RedisUnfitError) return `The API cannot start: ${error.message}`;
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
    return 'The API cannot start: the port is taken by another process. Set PORT to a free one.';
  return `The API cannot start: ${error instanceof Error ? error.message : String(error)}`;
}
