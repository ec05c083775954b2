import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { createRig, type Rig } from '../support/rig.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What the worker tells those who watch over it. */
async function askReady(rig: Rig) {
  const { url } = rig.logs.find((line) => line.msg === 'metrics and health are served') ?? {};
  const answer = await fetch(`${url}/health/ready`);
  const { checks } = (await answer.json()) as { checks: readonly Check[] };
  return { status: answer.status, failing: checks.filter(({ ok }) => !ok), names: checks.map(({ name }) => name) };
}

const openRig = (redisUrl?: string) =>
  createRig({ settings: { METRICS_PORT: '0' }, ...(redisUrl === undefined ? {} : { redisUrl }) });

test('a worker is ready once it takes tickets, and says what it looked at', async () => {
  await using rig = await openRig();
  await rig.until('it is ready', async () => (await askReady(rig)).status === 200);
  expect((await askReady(rig)).names).toEqual(expect.arrayContaining(['redis', 'generation', 'store', 'tickets']));
});

test('a worker whose store is away is not ready, and says so', async () => {
  await using rig = await openRig();
  await rig.until('it is ready', async () => (await askReady(rig)).status === 200);
  const folder = join(rig.folder, 'store');
  await rename(folder, `${folder}-away`);
  // A check of the store is shared for 5 s.
  await rig.until('it is not ready', async () => (await askReady(rig)).status === 503);
  expect((await askReady(rig)).failing.map(({ name }) => name)).toEqual(['store']);
  await rename(`${folder}-away`, folder);
});

test('a worker whose Redis does not answer says within two seconds that it is not ready, and is ready after it', async () => {
  await using redis = await startRedisInstance();
  await using rig = await openRig(redis.url);
  await rig.until('it is ready', async () => (await askReady(rig)).status === 200);
  redis.kill('SIGSTOP');
  const began = performance.now();
  const { status, failing } = await askReady(rig);
  expect(performance.now() - began).toBeLessThan(3000);
  expect([status, failing[0]?.name]).toEqual([503, 'redis']);
  redis.kill('SIGCONT');
  await rig.until('it is ready again', async () => (await askReady(rig)).status === 200);
});
