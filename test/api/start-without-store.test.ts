import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startApi } from '@renderyard/api/start-api';
import { type Clock, systemClock } from '@renderyard/shared/clock';
import { readConfig } from '@renderyard/shared/config';
import { createLogger } from '@renderyard/shared/logger';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { keyPrefix } from '@renderyard/shared/redis/keys';
import { expect, inject, onTestFinished, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

/** How long the start waits for the store to say of which version it is; see store-look.ts. */
const PATIENCE_MS = 2000;

test('an API that starts while its store is away says so, and goes on without it when its patience is over', async () => {
  const folder = await makeTemporaryFolder('start-without-store');
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const name = `test-${randomBytes(6).toString('hex')}`;
  const logger = createLogger({ service: 'test', level: 'silent' });
  const redis = connectRedis(inject('redisUrl'), 'worker', logger);
  // Redis is the one that others work with: it has its mark.
  await createGeneration(redis, keyPrefix(name)).join();
  await writeFile(join(folder, 'store'), 'not a folder');

  // The patience with the store lasts until the test has seen what is told meanwhile.
  const patience = Promise.withResolvers<void>();
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => (ms === PATIENCE_MS ? patience.promise : systemClock.sleep(ms, signal)),
  };
  const config = readConfig({ PORT: '0', DATA_DIR: folder, REDIS_PREFIX: name });
  const api = await startApi({ config, redisUrl: inject('redisUrl'), clock, logger });
  onTestFinished(async () => {
    patience.resolve();
    for (const phase of api.phases()) await phase.stop();
    const keys = await redis.keys(`{${name}}*`);
    if (keys.length > 0) await redis.del(keys);
    redis.disconnect();
  });
  const ask = async (path: string) => (await fetch(new URL(path, api.url))).json() as Promise<Record<string, unknown>>;
  const [answer, ready] = await Promise.all([ask('/v1/jobs'), ask('/health/ready')]);
  expect([answer.code, answer.detail]).toEqual([
    'store_unavailable',
    'The server is starting, and the object store has not answered yet. Nothing was changed; ask again.',
  ]);
  expect(ready.checks).toEqual(
    expect.arrayContaining([
      { name: 'process', ok: false, detail: 'The process is starting, and the object store has not answered yet.' },
      { name: 'store', ok: false, detail: expect.any(String) },
      { name: 'generation', ok: true, detail: expect.any(String) },
    ]),
  );
  patience.resolve();
  const seen = new Set<unknown>();
  for (let code = answer.code; code !== undefined; code = (await ask('/v1/jobs')).code) seen.add(code);
  expect([...seen]).toEqual(['store_unavailable']);
});
