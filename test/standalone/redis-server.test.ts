import { chmod, mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { startGuarded } from '@renderyard/standalone/guarded-process';
import { identifyProcess, isRunning } from '@renderyard/standalone/process-identity';
import { RedisStartError, startRedis } from '@renderyard/standalone/redis-server';
import { Redis } from 'ioredis';
import { test as base, expect } from 'vitest';
import { PACKAGES } from '../support/cache-folder.ts';
import { startProcess } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { untilGone } from './launcher.ts';

const test = base.extend<{ dataDir: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of what a fixture uses from the pattern
  dataDir: async ({}, use) => {
    const folder = await makeTemporaryFolder('data');
    await use(folder);
    await rm(folder, { recursive: true, force: true });
  },
});

const start = (dataDir: string, more: { port?: number } = {}) =>
  startRedis({ dataDir, persistence: 'aof', env: process.env, packagesDir: PACKAGES, ...more });

async function withClient<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { retryStrategy: () => null });
  redis.on('error', () => undefined);
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

test('Redis keeps every write, evicts nothing, and listens on loopback with a password', async ({ dataDir }) => {
  const server = await start(dataDir);
  try {
    const settings = await withClient(server.url, (redis) =>
      redis.config('GET', 'appendonly', 'appendfsync', 'maxmemory-policy', 'bind', 'save'),
    );
    expect(settings).toEqual(
      expect.arrayContaining(['appendonly', 'yes', 'everysec', 'noeviction', 'bind', '127.0.0.1', 'save', '']),
    );
    const bare = new URL(server.url);
    bare.password = '';
    await expect(withClient(bare.href, (redis) => redis.ping())).rejects.toThrow('NOAUTH');
    expect((await stat(join(dataDir, 'redis'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(dataDir, 'redis/redis.conf'))).mode & 0o777).toBe(0o600);
  } finally {
    await server.stop();
  }
  expect(await server.exited).toMatchObject({ code: 0 });
});

test('Redis ends when the process that started it is killed, and what was written is there again', async ({
  dataDir,
}) => {
  const parent = await startProcess({
    name: 'parent',
    file: join(import.meta.dirname, 'stand-ins/start-redis.ts'),
    env: { DATA_DIR: dataDir },
  });
  const { redisPid } = await parent.untilLog((line) => 'redisPid' in line);
  const redis = await identifyProcess(Number(redisPid));
  await withClient(parent.url, (client) => client.set('a', 'written'));
  parent.kill('SIGKILL');
  await parent.exited;
  // At once, while the old one may still be writing.
  const next = await start(dataDir);
  try {
    await untilGone([redis], 100);
    expect(await withClient(next.url, (client) => client.get('a'))).toBe('written');
  } finally {
    await next.stop();
  }
});

test('Redis waits for one of an earlier start that still runs on the same files', async ({ dataDir }) => {
  const finished = join(dataDir, 'finished');
  // Takes longer to end than Redis takes to start.
  const predecessor = startGuarded({
    command: '/bin/sh',
    args: ['-c', 'sleep 1; : > "$0"; exec sleep 0.2', finished],
    env: process.env,
  });
  await mkdir(join(dataDir, 'redis'), { recursive: true });
  await writeFile(join(dataDir, 'redis/process.json'), JSON.stringify(await identifyProcess(predecessor.pid)));
  const server = await start(dataDir);
  try {
    expect(predecessor.running).toBe(false);
    await stat(finished);
  } finally {
    await server.stop();
    await predecessor.stop(0);
  }
});

test('several Redis start at once, each on a port of its own', async ({ dataDir }) => {
  const servers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => start(join(dataDir, name))));
  try {
    expect(new Set(servers.map(({ port }) => port)).size).toBe(4);
    for (const { url } of servers) expect(await withClient(url, (redis) => redis.ping())).toBe('PONG');
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
});

test('a port that was asked for and is taken is named', async ({ dataDir }) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as { port: number };
    const failed = start(dataDir, { port });
    await expect(failed).rejects.toBeInstanceOf(RedisStartError);
    await expect(failed).rejects.toThrow(`because port ${port} is taken`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('files that Redis cannot read end its start with what it said', async ({ dataDir }) => {
  await mkdir(join(dataDir, 'redis/appendonlydir'), { recursive: true });
  await writeFile(join(dataDir, 'redis/appendonlydir/appendonly.aof.manifest'), 'nonsense\n');
  await expect(start(dataDir)).rejects.toThrow(/ended with code 1 while it started\. Its last words:\n[\s\S]*AOF/);
});

test('a Redis that cannot be recorded is not left running beside the next one', async ({ dataDir }) => {
  const file = join(dataDir, 'stand-in.sh');
  const pidFile = join(dataDir, 'pid');
  await writeFile(file, `#!/bin/sh\necho $$ > '${pidFile}'\nexec sleep 1000\n`);
  await chmod(file, 0o700);
  const obstacle = join(dataDir, 'redis/process.json.tmp');
  await mkdir(obstacle, { recursive: true });
  const source = { kind: 'program', description: 'a stand-in', file, env: process.env } as const;
  const failed = startRedis({ dataDir, persistence: 'aof', env: process.env, source });
  await expect(failed).rejects.toMatchObject({ code: 'EISDIR' });
  await rm(obstacle, { recursive: true });
  // The next one takes longer to be ready than the stand-in to write its pid; one that was ended at once wrote none.
  const next = await start(dataDir);
  try {
    const pid = Number(await readFile(pidFile, 'utf8').catch(() => '0'));
    expect(pid === 0 ? 'no' : await isRunning(await identifyProcess(pid))).toBe('no');
  } finally {
    await next.stop();
  }
});

test('a damaged record of an earlier start keeps no Redis from starting', async ({ dataDir }) => {
  const record = join(dataDir, 'redis/process.json');
  await mkdir(join(dataDir, 'redis'));
  await writeFile(record, '');
  await utimes(record, 1, 1);
  const server = await start(dataDir);
  try {
    expect(JSON.parse(await readFile(record, 'utf8'))).toEqual(await identifyProcess(server.pid));
  } finally {
    await server.stop();
  }
});
