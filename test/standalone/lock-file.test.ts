import { readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { acquireLock, LockHeldError, waitForLock } from '@renderyard/standalone/lock-file';
import { identifyProcess } from '@renderyard/standalone/process-identity';
import { test as base, expect } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const test = base.extend<{ path: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of what a fixture uses from the pattern
  path: async ({}, use) => {
    const folder = await makeTemporaryFolder('lock');
    await use(join(folder, 'lock'));
    await rm(folder, { recursive: true, force: true });
  },
});

test('a lock is held by one at a time and can be taken again after its release', async ({ path }) => {
  const first = await acquireLock(path);
  const refused = acquireLock(path);
  await expect(refused).rejects.toBeInstanceOf(LockHeldError);
  await expect(refused).rejects.toMatchObject({ pid: process.pid });
  await first.release();
  await first.release();
  await (await acquireLock(path)).release();
});

test('whoever waits gets the lock when it is released', async ({ path }) => {
  const first = await acquireLock(path);
  const second = waitForLock(path, 10_000);
  await first.release();
  await (await second).release();
});

test('of many who find the lock of a process that died, one gets it', async ({ path }) => {
  const us = await identifyProcess();
  // Our own pid, but of a process that started at another time.
  await writeFile(path, JSON.stringify({ ...us, started: `${us.started}0` }));
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => acquireLock(path)));
  const won = results.filter((result) => result.status === 'fulfilled');
  expect(won).toHaveLength(1);
  for (const result of results) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(LockHeldError);
  expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(us);
  await won[0]?.value.release();
});

test('a lock of another container is taken over when nobody touches it, and left alone when somebody does', async ({
  path,
}) => {
  const elsewhere = JSON.stringify({ pid: 1, started: '1', place: 'another container' });
  await writeFile(path, elsewhere);
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, 20);
  try {
    await expect(acquireLock(path, { watchMs: 1_000 })).rejects.toMatchObject({ pid: 1 });
  } finally {
    clearInterval(beat);
  }
  await (await acquireLock(path, { watchMs: 300 })).release();
});

test('a lock whose holder was taken from it is not removed by the old holder', async ({ path }) => {
  const old = await acquireLock(path);
  const other = JSON.stringify({ pid: 1, started: '1', place: 'elsewhere' });
  await writeFile(path, other);
  await old.release();
  expect(await readFile(path, 'utf8')).toBe(other);
});

test('the lock of a process that died ends the wait with the reason when it cannot be replaced', async ({ path }) => {
  // A name that is as long as names may be leaves no room for the file that guards the replacing.
  const longest = join(dirname(path), 'l'.repeat(255));
  const us = await identifyProcess();
  await writeFile(longest, JSON.stringify({ ...us, started: `${us.started}0` }));
  await expect(acquireLock(longest)).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
});
