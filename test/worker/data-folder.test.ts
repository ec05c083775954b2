import { chmod, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@renderyard/shared/logger';
import { checkDataFolder } from '@renderyard/worker/check-data-folder';
import { expect, inject, onTestFinished, test } from 'vitest';
import { startService } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const logger = createLogger({ service: 'test', level: 'silent' });

async function temporaryFolder(): Promise<string> {
  const folder = await makeTemporaryFolder('data-folder');
  onTestFinished(async () => {
    await chmod(folder, 0o700);
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Not even root may write into some folders of Linux; whoever is not root, not into one that he closed. */
async function readOnlyFolder(): Promise<string> {
  if (process.getuid?.() === 0) return '/sys/kernel';
  const folder = await temporaryFolder();
  await chmod(folder, 0o500);
  return folder;
}

/** What a worker says before it ends, when it does not start. */
async function complaint(dataDir: string): Promise<string> {
  const env = {
    DATA_DIR: dataDir,
    REDIS_PREFIX: 'test-data-folder',
    REDIS_URL: inject('redisUrl'),
    SEGMIND_API_KEY: 'sim-key',
  };
  const error = await startService({ service: 'worker', env }).then(
    async (worker) => {
      await worker.stop();
      throw new Error('The worker started.');
    },
    (reason: Error) => reason,
  );
  expect(error.message).toMatch(/^worker ended \(code 1\) before it was ready:\n/);
  return error.message.slice(error.message.indexOf('\n') + 1).trim();
}

test('a worker that may not write its data says so in one line, and does not start', async () => {
  const dataDir = await readOnlyFolder();
  const told = await complaint(dataDir);
  expect(told.split(`(DATA_DIR): `)[0]).toBe(`The worker cannot start: Renderyard cannot keep its data in ${dataDir} `);
  expect(told).toMatch(
    /not .* write there \((EACCES|EPERM|EROFS), .+\/worker\)\. Set DATA_DIR to a folder that this user may write to\.$/,
  );
  expect(told.split('\n')).toHaveLength(1);
});

test.each(['worker', 'worker/spool', 'worker/rescue'])(
  'a file in the place of %s is told before anything begins',
  async (name) => {
    const dataDir = await temporaryFolder();
    await checkDataFolder(join(dataDir, 'worker'), logger);
    await rm(join(dataDir, name), { recursive: true });
    await writeFile(join(dataDir, name), '');
    expect(await complaint(dataDir)).toBe(
      `The worker cannot start: Renderyard cannot keep its data in ${dataDir} (DATA_DIR): it is a file, not a folder (EEXIST, ${join(dataDir, name)}). Set DATA_DIR to a folder that this user may write to.`,
    );
  },
);

test('the check makes the folders and leaves nothing in them', async () => {
  const dataDir = await temporaryFolder();
  const folder = join(dataDir, 'new', 'worker');
  await checkDataFolder(folder, logger);
  await checkDataFolder(folder, logger);
  expect((await readdir(folder, { recursive: true })).sort()).toEqual(['rescue', 'spool']);
});

test.runIf(process.platform === 'linux')('a full disk is told as an error, and the worker starts', async () => {
  const dataDir = await temporaryFolder();
  const folder = join(dataDir, 'worker');
  await mkdir(folder);
  // What is written goes to a device that is always full.
  await symlink('/dev/full', join(folder, `${hostname()}-${process.pid}.trial`));
  const lines: { readonly level: number; readonly msg: string }[] = [];
  const destination = { write: (line: string) => lines.push(JSON.parse(line)) };
  await checkDataFolder(folder, createLogger({ service: 'test', level: 'info', destination }));
  expect(lines).toEqual([
    expect.objectContaining({
      level: 50,
      msg: `Renderyard cannot keep its data in ${dataDir} (DATA_DIR): its disk is full (ENOSPC). Make room, or set DATA_DIR to a folder on another disk. Batches cannot end until there is room.`,
    }),
  ]);
});
