import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startGuarded } from '@renderyard/standalone/guarded-process';
import { identifyProcess } from '@renderyard/standalone/process-identity';
import { awaitPredecessor, recordProcess } from '@renderyard/standalone/redis-record';
import { test as base, expect } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const test = base.extend<{ dir: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of what a fixture uses from the pattern
  dir: async ({}, use) => {
    const dir = await makeTemporaryFolder('record');
    await use(dir);
    await rm(dir, { recursive: true, force: true });
  },
});

const DAMAGED = ['', '{"pid":12', 'null', '[]', '{"pid":-1,"started":"1","place":"here"}', '{"pid":1}'];

async function damage(dir: string, text: string, ageMs: number): Promise<void> {
  const file = join(dir, 'process.json');
  await writeFile(file, text);
  const then = new Date(Date.now() - ageMs);
  await utimes(file, then, then);
}

test('a record names the process, and leaves nothing beside it', async ({ dir }) => {
  await recordProcess(dir, process.pid);
  expect(JSON.parse(await readFile(join(dir, 'process.json'), 'utf8'))).toEqual(await identifyProcess());
  expect(await readdir(dir)).toEqual(['process.json']);
});

test('no record, or one of a process that is gone, holds up nothing', async ({ dir }) => {
  await awaitPredecessor(dir);
  const gone = startGuarded({ command: '/bin/sh', args: ['-c', 'read -r _'], env: process.env });
  await recordProcess(dir, gone.pid);
  await gone.stop(0);
  await awaitPredecessor(dir);
});

test.for(DAMAGED)('a damaged record that is old holds up nothing: %j', async (text, { dir }) => {
  await damage(dir, text, 60_000);
  const before = performance.now();
  await awaitPredecessor(dir);
  expect(performance.now() - before).toBeLessThan(1_000);
});

test('a damaged record that is fresh is waited for as long as the Redis of a killed launcher may run', async ({
  dir,
}) => {
  await damage(dir, '', 14_000);
  const before = performance.now();
  await awaitPredecessor(dir);
  const waited = performance.now() - before;
  expect(waited).toBeGreaterThan(500);
  expect(waited).toBeLessThan(5_000);
});

test('a damaged record of a clock that was ahead is not waited for any longer', { timeout: 25_000 }, async ({
  dir,
}) => {
  await damage(dir, '', -3_600_000);
  const before = performance.now();
  await awaitPredecessor(dir);
  expect(performance.now() - before).toBeGreaterThan(14_000);
});
