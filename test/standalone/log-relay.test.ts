import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createBoundedLog } from '@renderyard/standalone/bounded-log';
import { createLogRelay } from '@renderyard/standalone/log-relay';
import { toReadableLine } from '@renderyard/standalone/readable-line';
import { test as base, expect } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const test = base.extend<{ folder: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of what a fixture uses from the pattern
  folder: async ({}, use) => {
    const folder = await makeTemporaryFolder('log');
    await use(folder);
    await rm(folder, { recursive: true, force: true });
  },
});

test('a log and the one before it never take more than twice the limit, and the newest lines are there', async ({
  folder,
}) => {
  const file = join(folder, 'a.log');
  for (let round = 0; round < 2; round++) {
    const log = createBoundedLog({ file, maxBytes: 1_000 });
    for (let i = 0; i < 100; i++) {
      log.write(`${round} line ${i} ${'x'.repeat(40)}`);
      expect((await stat(file)).size).toBeLessThanOrEqual(1_000);
    }
    log.close();
  }
  expect((await stat(`${file}.1`)).size).toBeLessThanOrEqual(1_000);
  const kept = `${await readFile(`${file}.1`, 'utf8')}${await readFile(file, 'utf8')}`.trimEnd().split('\n');
  expect(kept.at(-1)).toMatch(/^1 line 99 /);
  const numbers = kept.map((line) => Number(line.split(' ')[2]));
  expect(numbers).toEqual(numbers.map((_, i) => 100 - numbers.length + i));
});

test('an entry becomes one line with its facts and the message of its error', () => {
  const entry = { level: 50, time: '2026-01-02T03:04:05.678Z', service: 'worker', pid: 1, msg: 'the store is away' };
  expect(
    toReadableLine('worker', JSON.stringify({ ...entry, job_id: 'job_1', err: { message: 'refused', stack: 'x\ny' } })),
  ).toBe('03:04:05 worker error: the store is away job_id=job_1 err=refused');
  expect(toReadableLine('worker', JSON.stringify({ ...entry, level: 30 }))).toBeUndefined();
  expect(toReadableLine('worker', '  at file.ts:1:2')).toBe('worker:   at file.ts:1:2');
  expect(toReadableLine('worker', '')).toBeUndefined();
});

test('a flood of warnings is cut on the terminal and whole in the file', async ({ folder }) => {
  const shown: string[] = [];
  const relay = createLogRelay(folder, (line) => shown.push(line));
  const sink = relay.of('worker');
  for (let i = 0; i < 1_000; i++) sink(JSON.stringify({ level: 40, msg: `warning ${i}` }));
  relay.close();
  // A flood may fall into two seconds.
  expect(shown.length).toBeLessThanOrEqual(2 * 21);
  expect(shown).toContain(`worker: more in ${join(folder, 'worker.log')}`);
  expect((await readFile(join(folder, 'worker.log'), 'utf8')).trimEnd().split('\n')).toHaveLength(1_000);
});
