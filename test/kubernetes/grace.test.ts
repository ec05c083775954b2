import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startApi } from '@renderyard/api/start-api';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig } from '@renderyard/shared/config';
import type { StopPhase } from '@renderyard/shared/lifecycle';
import { createLogger } from '@renderyard/shared/logger';
import type { Environment } from '@renderyard/shared/settings';
import { startWorker } from '@renderyard/worker/start-worker';
import { afterAll, expect, inject, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { mountedEnvironment } from './container-env.ts';
import { SECRETS } from './filled-secrets.ts';
import { manifest } from './manifests.ts';

const folder = await makeTemporaryFolder('kubernetes-grace');
afterAll(() => rm(folder, { recursive: true, force: true }));
const logger = createLogger({ service: 'test', level: 'silent' });

/** The settings of a Deployment, but for what only a cluster has. */
async function settingsOf(deployment: string) {
  const { S3_BUCKET: _, ...env }: Environment = await mountedEnvironment(deployment, folder, {
    ...SECRETS,
    'redis-url': inject('redisUrl'),
  });
  return readConfig({
    ...env,
    REDIS_PREFIX: `grace-${process.pid}`,
    DATA_DIR: folder,
    HOST: '127.0.0.1',
    PORT: '0',
    METRICS_HOST: '127.0.0.1',
    METRICS_PORT: '0',
    // Nobody listens there.
    SEGMIND_BASE_URL: 'http://127.0.0.1:9',
  });
}

const deadlines = (phases: readonly StopPhase[]) => phases.reduce((sum, { deadlineMs }) => sum + deadlineMs, 0);

async function stop(phases: readonly StopPhase[]): Promise<void> {
  for (const phase of phases) await phase.stop();
}

/** A page of the documentation, its lines joined. */
const page = async (name: string) => (await readFile(join(REPOSITORY, 'docs', name), 'utf8')).replaceAll(/\s+/g, ' ');

/** In seconds, rounded up, as the documentation tells it. */
const seconds = (ms: number) => Math.ceil(ms / 1000);

const graceOf = (deployment: string): number =>
  1000 * manifest('Deployment', deployment).spec.template.spec.terminationGracePeriodSeconds;

test('the api has ended by itself before Kubernetes kills it, however long each phase takes', async () => {
  const config = await settingsOf('renderyard-api');
  const api = await startApi({
    config: { ...config, SHUTDOWN_DELAY_MS: 0 },
    redisUrl: inject('redisUrl'),
    clock: systemClock,
    logger,
  });
  const phases = api.phases();
  await stop(phases);
  const longest = deadlines(phases) + config.SHUTDOWN_DELAY_MS;
  expect(longest).toBeGreaterThan(config.SHUTDOWN_DELAY_MS + config.SHUTDOWN_GRACE_MS);
  expect(graceOf('renderyard-api')).toBeGreaterThanOrEqual(longest + 5000);
  const { SHUTDOWN_DELAY_MS: delay, SHUTDOWN_GRACE_MS: grace } = config;
  expect(await page('operations.md')).toContain(`closes | the two and ${seconds(longest - delay - grace)} s |`);
  expect(await page('deploy.md')).toContain(
    `${seconds(longest)} seconds of the API with \`SHUTDOWN_DELAY_MS\` ${delay} and \`SHUTDOWN_GRACE_MS\` ${grace}`,
  );
});

test('a worker has ended by itself before Kubernetes kills it, however long each phase takes', async () => {
  const config = await settingsOf('renderyard-worker');
  const worker = await startWorker({
    config,
    redisUrl: inject('redisUrl'),
    key: { current: () => 'SG_0', version: 1, refresh: async () => false, hide: (text) => text },
    dataFolder: folder,
    clock: systemClock,
    logger,
  });
  const phases = worker.phases();
  await stop(phases);
  const longest = deadlines(phases);
  expect(longest).toBeGreaterThan(config.SHUTDOWN_GRACE_MS);
  expect(graceOf('renderyard-worker')).toBeGreaterThanOrEqual(longest + 5000);
  const grace = config.SHUTDOWN_GRACE_MS;
  expect(await page('operations.md')).toContain(`| the grace and ${seconds(longest - grace)} s |`);
  expect(await page('deploy.md')).toContain(`${seconds(longest)} of a worker with ${grace}`);
});
