import { join } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig, requireRedisUrl } from '@renderyard/shared/config';
import { createKnownSecrets } from '@renderyard/shared/known-secrets';
import { createLifecycle } from '@renderyard/shared/lifecycle';
import { createLogger } from '@renderyard/shared/logger';
import { SettingsError } from '@renderyard/shared/settings';
import { createUpstreamKey } from './segmind/upstream-key.ts';
import { startWorker } from './start-worker.ts';

/** `npm run worker`: one worker process, with its settings from the environment. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  const redisUrl = requireRedisUrl(config);
  const secrets = createKnownSecrets([process.env.AWS_SECRET_ACCESS_KEY]);
  const logger = createLogger({ service: 'worker', level: config.LOG_LEVEL, secrets });
  const key = await createUpstreamKey({
    setting: config.SEGMIND_API_KEY,
    file: config.SEGMIND_API_KEY_FILE,
    secrets,
    logger,
  });
  const worker = await startWorker({
    config,
    redisUrl,
    key,
    dataFolder: join(config.DATA_DIR, 'worker'),
    clock: systemClock,
    logger,
  });
  createLifecycle({ phases: () => worker.phases, logger, process });
  logger.info(
    { concurrency: config.WORKER_CONCURRENCY, calls_a_minute: config.SEGMIND_RPM, upstream: config.SEGMIND_BASE_URL },
    'the worker takes tickets',
  );
  process.send?.({ ready: true });
}

main().catch((error: unknown) => {
  process.stderr.write(
    error instanceof SettingsError
      ? `${error.message}\n`
      : `The worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
