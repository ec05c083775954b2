import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { startInstallation } from '../support/installation.ts';
import { startRedisInstance } from '../support/redis-instance.ts';
import { startCluster } from '../support/redis-topologies.ts';

/** The rules that docs/deploy.md gives, but for the password. */
const rules =
  /ACL SETUSER renderyard on >PASSWORD (.+)/.exec(readFileSync(join(REPOSITORY, 'docs/deploy.md'), 'utf8'))?.[1] ?? '';
const password = randomBytes(12).toString('hex');
const setUser = (client: Redis) =>
  client.call('ACL', 'SETUSER', 'renderyard', 'reset', 'on', `>${password}`, ...rules.split(' '));
const env = { REDIS_PREFIX: 'renderyard', METRICS_PORT: '0', SEGMIND_CONCURRENCY: '4' };

/** Has an installation do what it does with Redis, a rebuild included where `empty` is given. */
async function exercise(redisUrl: string, empty?: () => Promise<unknown>): Promise<void> {
  await using yard = await startInstallation({ redisUrl, env, simulator: { latencyMs: 50 } });
  const jobs = await yard.submit(['a', 'b']);
  const batch = await yard.upload('prompt\nc\nd\n');
  expect((await yard.ended(jobs)).map(({ status }) => status)).toEqual(['succeeded', 'succeeded']);
  expect((await yard.batchEnded(batch.id)).counts).toMatchObject({ succeeded: 2 });
  expect((await yard.call('PATCH', '/v1/credits', { floor: 0.5 })).status).toBe(200);
  for (const { logs } of [yard.api, ...yard.workers]) {
    const { url } = logs.find(({ msg }) => msg === 'metrics and health are served') ?? {};
    // In a cluster another connection may not have found its node yet.
    await yard.until('it is ready', async () => (await fetch(`${String(url)}/health/ready`)).status === 200);
    expect(await (await fetch(`${String(url)}/metrics`)).text()).toContain('renderyard_redis_up 1');
  }
  if (empty === undefined) return;
  await empty();
  const ready = async () => (await yard.call('GET', '/health/ready')).status === 200;
  await yard.until('the emptied Redis is noticed', async () => !(await ready()));
  await yard.until('Redis is rebuilt', ready);
  const [again] = await yard.ended(await yard.submit(['e']));
  expect(again?.status).toBe('succeeded');
}

test('a user of Redis with the documented rights can do all that is needed, and is refused nothing', async () => {
  await using redis = await startRedisInstance();
  const admin = new Redis(redis.url);
  try {
    await setUser(admin);
    await exercise(`redis://renderyard:${password}@127.0.0.1:${redis.port}`, () => admin.flushall());
    expect(await admin.call('ACL', 'LOG')).toEqual([]);
    const other = new Redis({ port: redis.port, username: 'renderyard', password });
    await expect(other.get('of somebody else')).rejects.toThrow(/NOPERM/);
    await expect(other.flushall()).rejects.toThrow(/NOPERM/);
    other.disconnect();
  } finally {
    admin.disconnect();
  }
});

test('the same rights are enough on a cluster', async () => {
  await using cluster = await startCluster('{renderyard}:x');
  await Promise.all(cluster.nodes.map(({ client }) => setUser(client)));
  const hosts = cluster.nodes.slice(0, 3).map(({ port }) => `127.0.0.1:${port}`);
  await exercise(`redis://renderyard:${password}@${hosts.join(',')}`);
  for (const { client } of cluster.nodes) expect(await client.call('ACL', 'LOG')).toEqual([]);
});
