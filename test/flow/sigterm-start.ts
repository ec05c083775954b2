import { rm } from 'node:fs/promises';
import { expect } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { askReady, startWithoutWaiting, terminate, watchersUrl } from './sigterm-process.ts';
import { note, START_END_MS } from './sigterm-table.ts';

/** Nothing listens there. */
const NO_REDIS = 'redis://127.0.0.1:1';

/** Tells a service to stop while it waits for Redis: until then it says that it starts, and it ends at once. */
export async function stopWhileRedisIsAwaited(
  service: 'api' | 'worker',
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = await makeTemporaryFolder('sigterm');
  await using one = startWithoutWaiting(service, { REDIS_URL: NO_REDIS, DATA_DIR: folder, METRICS_PORT: '0', ...env });
  const url = await watchersUrl(one);
  await one.untilLog('Redis cannot be reached');
  expect(await askReady(url)).toMatchObject({ status: 503, checks: [{ detail: 'The process is starting.' }] });
  const end = await terminate(one);
  note(
    { service, phase: 'Redis is awaited at the start', graceMs: 25_000, ...end, outcome: 'nothing begun' },
    { most: START_END_MS },
  );
  await rm(folder, { recursive: true });
}
