import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '@renderyard/shared/logger';
import { connectRedis } from '@renderyard/shared/redis/connect';
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

/** A connection of an operator's, as the only user that is left alone. */
function connectAdmin(url: string) {
  return connectRedis(url, 'api', createLogger({ service: 'test', level: 'silent' }));
}

test('a worker whose credentials Redis refuses says so, tells of it once, and works again with them', async () => {
  await using redis = await startRedisInstance();
  const admin = connectAdmin(redis.url);
  await admin.connect();
  const allow = (...rules: readonly string[]) => admin.call('ACL', 'SETUSER', 'renderyard', ...rules);
  await allow('on', '>sesame', '~*', '&*', '+@all');
  const url = new URL(redis.url);
  Object.assign(url, { username: 'renderyard', password: 'sesame' });
  await using rig = await openRig(url.href);
  const detail = async () => (await askReady(rig)).failing.find(({ name }) => name === 'redis')?.detail;
  await rig.until('it is ready', async () => (await askReady(rig)).status === 200);

  await allow('-set');
  await rig.until('it says what it may not do', async () =>
    ((await detail()) ?? '').endsWith(
      'credentials of REDIS_URL: the user may not do what is needed with our keys (NOPERM).',
    ),
  );
  await allow('+set', '<sesame', '>second');
  await admin.call('CLIENT', 'KILL', 'USER', 'renderyard');
  await rig.until('it says what is wrong', async () =>
    ((await detail()) ?? '').endsWith(
      'credentials of REDIS_URL: user or password are wrong, or the user is disabled (WRONGPASS).',
    ),
  );
  const refused = (msg: string) =>
    rig.logs.filter((line) => line.msg === msg && JSON.stringify(line.err).includes('WRONGPASS')).length;
  await rig.until('its upkeep has failed', async () => refused('upkeep failed and is tried again') > 0);
  // Long enough for each of its loops to fail several times.
  await rig.until(
    'all connections were tried again',
    async () => Number(((await admin.call('ACL', 'LOG')) as readonly (readonly unknown[])[])[0]?.[1]) > 30,
  );
  const told = refused('upkeep failed and is tried again');

  await allow('>sesame');
  await rig.until('it is ready again', async () => (await askReady(rig)).status === 200);
  admin.disconnect();
  expect(told).toBe(1);
  expect(refused('Redis refuses our credentials')).toBeGreaterThan(0);
  expect(JSON.stringify(rig.logs)).not.toContain('sesame');
});
