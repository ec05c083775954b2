import { access, chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findRedis, NoRedisError } from '@renderyard/standalone/redis-source';
import { test as base, expect } from 'vitest';
import { PACKAGES } from '../support/cache-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

/** A folder that is the whole PATH, and a way to put programs into it. */
const test = base.extend<{ machine: { readonly folder: string; has(name: string, script: string): Promise<void> } }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of what a fixture uses from the pattern
  machine: async ({}, use) => {
    const folder = await makeTemporaryFolder('path');
    await use({
      folder,
      has: async (name, script) => {
        const file = join(folder, name);
        await writeFile(file, `#!/bin/sh\n${script}\n`);
        await chmod(file, 0o755);
      },
    });
    await rm(folder, { recursive: true, force: true });
  },
});

const find = (folder: string) => findRedis({ packagesDir: join(folder, 'packages'), env: { PATH: folder } });
const redis = 'echo "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0"';
const valkey = 'echo "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=0"';
const failingApt = 'echo "E: Unable to locate package redis-server" >&2; exit 100';

test('a server on the PATH comes before all else, and Valkey before Redis', async ({ machine }) => {
  await machine.has('redis-server', redis);
  await machine.has('docker', 'exit 0');
  expect(await find(machine.folder)).toMatchObject({ kind: 'program', file: join(machine.folder, 'redis-server') });
  await machine.has('valkey-server', valkey);
  expect(await find(machine.folder)).toMatchObject({
    kind: 'program',
    description: `valkey-server 8.1.1 of ${machine.folder}/valkey-server`,
  });
});

test('a server that is too old, or does not run, is passed over and told', async ({ machine }) => {
  await machine.has('redis-server', redis.replace('7.0.15', '6.0.16'));
  await machine.has('valkey-server', 'exit 1');
  await expect(find(machine.folder)).rejects.toThrow(
    `${machine.folder}/valkey-server is not a Redis that runs; ${machine.folder}/redis-server is version 6.0.16, too old`,
  );
});

test('packages come before a container engine, and the engine only when they cannot be had', async ({ machine }) => {
  await machine.has('apt-get', failingApt);
  await machine.has('dpkg-deb', 'exit 1');
  await machine.has('docker', 'exit 0');
  expect(await find(machine.folder)).toMatchObject({ kind: 'container', engine: join(machine.folder, 'docker') });
});

test('a container engine that does not answer is none', async ({ machine }) => {
  await machine.has('docker', 'exit 1');
  await machine.has('podman', 'exec /bin/sleep 1000');
  await expect(find(machine.folder)).rejects.toThrow('no container engine answers');
});

test('where there is nothing, the error says what was tried and the one line that helps', async ({ machine }) => {
  const failed = find(machine.folder);
  await expect(failed).rejects.toBeInstanceOf(NoRedisError);
  await expect(failed).rejects.toThrow(/no valkey-server or redis-server on the PATH; apt-get is not on the PATH/);
  await expect(failed).rejects.toThrow(/\nRun this once: .+\nOr set REDIS_URL/);
});

test('where apt fails, its own words are told', async ({ machine }) => {
  await machine.has('apt-get', failingApt);
  await machine.has('dpkg-deb', 'exit 1');
  await expect(find(machine.folder)).rejects.toThrow(
    "Debian's packages redis-server, redis-tools cannot be had: apt-get update failed: E: Unable to locate package redis-server",
  );
});

const isDebian = await access('/usr/bin/apt-get').then(
  () => true,
  () => false,
);
test.runIf(isDebian)('on Debian the real package is unpacked and runs', async ({ machine }) => {
  for (const tool of ['apt-get', 'dpkg-deb']) await machine.has(tool, `exec /usr/bin/${tool} "$@"`);
  const path = `${machine.folder}:/nowhere`;
  const source = await findRedis({ packagesDir: PACKAGES, env: { ...process.env, PATH: path } });
  expect(source.kind).toBe('program');
  expect(source.description).toMatch(/^Redis (7|8)\.\d+\.\d+ of /);
});
