import { systemClock } from '@renderyard/shared/clock';
import { createLifecycle } from '@renderyard/shared/lifecycle';
import { createLogger } from '@renderyard/shared/logger';
import { RedisUnfitError } from '@renderyard/shared/redis/check-redis';
import { readSecretFiles } from '@renderyard/shared/secret-files';
import { SettingsError } from '@renderyard/shared/settings';
import { readApiSettings, shortKeys } from './api-settings.ts';
import { startApi } from './start-api.ts';

/** `npm run api`: one API process, with its settings from the environment. */
async function main(): Promise<void> {
  const { config, redisUrl } = readApiSettings(process.env);
  const logger = createLogger({
    service: 'api',
    level: config.LOG_LEVEL,
    secrets: [config.SEGMIND_API_KEY, process.env.AWS_SECRET_ACCESS_KEY],
  });
  for (const name of shortKeys(readSecretFiles(process.env).env))
    logger.warn({ key: name }, 'an API key is shorter than 16 characters and can be guessed; give it a longer secret');
  const api = await startApi({ config, redisUrl, clock: systemClock, logger });
  createLifecycle({ phases: api.phases, logger, process });
  logger.info({ url: api.url }, 'the API listens');
  process.send?.({ ready: true, url: api.url });
}

main().catch((error: unknown) => {
  process.stderr.write(`${reason(error)}\n`);
  process.exit(1);
});

/** One clear line for what a person can put right. */
function reason(error: unknown): string {
  if (error instanceof SettingsError) return error.message;
  if (error instanceof RedisUnfitError) return `The API cannot start: ${error.message}`;
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
    return 'The API cannot start: the port is taken by another process. Set PORT to a free one.';
  return `The API cannot start: ${error instanceof Error ? error.message : String(error)}`;
}
