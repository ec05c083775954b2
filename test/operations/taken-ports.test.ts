import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterAll, expect, inject, test } from 'vitest';
import { startService } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const folder = await makeTemporaryFolder('taken-ports');
const other = createServer().listen(0, '127.0.0.1');
await once(other, 'listening');
const port = String((other.address() as { port: number }).port);
afterAll(async () => {
  other.close();
  await rm(folder, { recursive: true, force: true });
});

const TAKEN = 'the port is taken by another process. Set';
const WATCHERS_TAKEN = `METRICS_PORT ${port} is taken by another process. Set it to a free one.`;

test.each([
  ['api', 'PORT', { PORT: port }, `The API cannot start: ${TAKEN} PORT to a free one.`],
  ['api', 'METRICS_PORT', { PORT: '0', METRICS_PORT: port }, `The API cannot start: ${WATCHERS_TAKEN}`],
  ['worker', 'METRICS_PORT', { METRICS_PORT: port }, `The worker cannot start: ${WATCHERS_TAKEN}`],
  ['simulator', 'SIMULATOR_PORT', { SIMULATOR_PORT: port }, `The simulator cannot start: ${TAKEN} SIMULATOR_PORT`],
] as const)('a port that is taken ends the start of the %s, which names %s', async (service, _setting, given, line) => {
  const env = { REDIS_URL: inject('redisUrl'), DATA_DIR: folder, SEGMIND_API_KEY: 'SG_1', ...given };
  const refused = await startService({ service, env }).then(
    () => 'it started',
    (error: Error) => error.message,
  );
  expect(refused).toContain(`${service} ended (code 1) before it was ready`);
  expect(refused).toContain(line);
  expect(refused).not.toMatch(/\n {4}at /);
});
