import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startGuarded } from '@renderyard/standalone/guarded-process';
import { identifyProcess } from '@renderyard/standalone/process-identity';
import { expect, test } from 'vitest';
import { startProcess } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { untilGone } from './launcher.ts';

const env = { PATH: process.env.PATH };
const shell = (script: string, onLine?: (line: string) => void) =>
  startGuarded({ command: '/bin/sh', args: ['-c', script], env, ...(onLine === undefined ? {} : { onLine }) });

test('the pid is the command itself, and its end, output and exit code are told', async () => {
  const lines: string[] = [];
  const started = shell('echo $$; echo "a b" >&2; exit 7', (line) => lines.push(line));
  expect(await started.exited).toMatchObject({ code: 7, signal: null });
  expect(lines.toSorted()).toEqual([String(started.pid), 'a b'].toSorted());
});

test('a command that cannot be run ends with an error', async () => {
  const started = startGuarded({ command: '/nowhere/program', args: [], env });
  const { code, output } = await started.exited;
  expect(code).toBe(127);
  expect(output).toContain('/nowhere/program');
});

test('stop kills what does not stop when asked, with all that it started', async () => {
  const pids: number[] = [];
  let bothTold = () => {};
  const told = new Promise<void>((resolve) => {
    bothTold = resolve;
  });
  const started = shell(`trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do wait; sleep 0.1; done`, (line) => {
    if (pids.push(Number(line)) === 2) bothTold();
  });
  await told;
  const identities = await Promise.all(pids.map((pid) => identifyProcess(pid)));
  expect(await started.stop(100)).toMatchObject({ signal: 'SIGKILL' });
  await untilGone(identities);
});

test('what a command that ends leaves behind goes with it', async () => {
  const pids: number[] = [];
  const started = shell(`sleep 1000 & echo $!; exit 0`, (line) => pids.push(Number(line)));
  await started.exited;
  expect(pids).toHaveLength(1);
  await untilGone(await Promise.all(pids.map((pid) => identifyProcess(pid))));
});

test('what does not end when its parent is killed is killed as well, with all that it started', async () => {
  const folder = await makeTemporaryFolder('guard');
  try {
    const file = join(folder, 'pids');
    const parent = await startProcess({
      name: 'parent',
      file: join(import.meta.dirname, 'stand-ins/start-stubborn.ts'),
      env: { PIDS: file },
    });
    const pids = (await readFile(file, 'utf8')).trim().split('\n').map(Number);
    expect(pids).toHaveLength(2);
    const identities = await Promise.all(pids.map((pid) => identifyProcess(pid)));
    parent.kill('SIGKILL');
    await untilGone(identities);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
