import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { type Scene, setScene } from './launcher.ts';

/** What the launcher says before it ends, when it does not start. */
async function complaint(scene: Scene, env: Readonly<Record<string, string>>): Promise<string> {
  const error = await scene.launch(env).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('The launcher started.');
  expect(error.message).toMatch(/^launcher ended \(code 1\) before it was ready:\n/);
  expect(error.message).not.toMatch(/^ +at /m);
  expect(await scene.journal()).toEqual([]);
  return error.message.slice(error.message.indexOf('\n') + 1).trim();
}

async function temporaryFolder(): Promise<string> {
  const folder = await makeTemporaryFolder('start-errors');
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

test('a data directory that cannot be written is told in one line, with what to do', async () => {
  await using scene = await setScene();
  const dataDir = await readOnlyFolder();
  expect(await complaint(scene, { DATA_DIR: dataDir })).toBe(
    `Renderyard cannot keep its data in ${dataDir} (DATA_DIR): this user may not write there (EACCES, ${dataDir}/room.tmp). Set DATA_DIR to a folder that this user may write to.`,
  );
});

test('a data directory that is a file, or below one, is told in one line', async () => {
  await using scene = await setScene();
  const file = join(await temporaryFolder(), 'file');
  await writeFile(file, '');
  expect(await complaint(scene, { DATA_DIR: file })).toBe(
    `Renderyard cannot keep its data in ${file} (DATA_DIR): it is a file, not a folder (EEXIST). Set DATA_DIR to a folder that this user may write to.`,
  );
  expect(await complaint(scene, { DATA_DIR: join(file, 'below') })).toBe(
    `Renderyard cannot keep its data in ${file}/below (DATA_DIR): a part of the path is a file (ENOTDIR). Set DATA_DIR to a folder that this user may write to.`,
  );
});

test('a log that cannot be written is told in one line that names it', async () => {
  await using scene = await setScene();
  await mkdir(join(scene.dataDir, 'logs/standalone.log'), { recursive: true });
  const said = await complaint(scene, {});
  expect(said).toContain(
    `Renderyard cannot keep its data in ${scene.dataDir} (DATA_DIR): the system refuses it (EISDIR, ${scene.dataDir}/logs/standalone.log).`,
  );
});

test.runIf(process.platform === 'linux')('a full disk is told in one line', async () => {
  await using scene = await setScene();
  // The first file that is written goes to a device that is always full.
  await symlink('/dev/full', join(scene.dataDir, 'room.tmp'));
  expect(await complaint(scene, {})).toBe(
    `Renderyard cannot keep its data in ${scene.dataDir} (DATA_DIR): its disk is full (ENOSPC). Make room, or set DATA_DIR to a folder on another disk.`,
  );
});

test.runIf(process.platform === 'linux')('a data directory where no folder can be made ends the start', async () => {
  await using scene = await setScene();
  expect(await complaint(scene, { DATA_DIR: '/proc/nope/data' })).toContain(
    'Renderyard cannot keep its data in /proc/nope/data (DATA_DIR): the system lets nobody make a folder there (ENOENT',
  );
});

test('a data directory is made with the folders above it', async () => {
  await using scene = await setScene();
  const dataDir = join(await temporaryFolder(), 'a/b/c');
  const redisUrl = 'redis://127.0.0.1';
  const launcher = await scene.launch({ DATA_DIR: dataDir, REDIS_URL: redisUrl });
  expect((await scene.service('worker')).env.DATA_DIR).toBe(dataDir);
  launcher.kill('SIGTERM');
  expect(await launcher.exited).toMatchObject({ code: 0 });
});

test('what is wrong with the settings of any service is told at once, before anything is started', async () => {
  await using scene = await setScene();
  const said = await complaint(scene, {
    HOST: '0.0.0.0',
    PORT: 'eighty',
    SEGMIND_BASE_URL: 'http://127.0.0.1:1',
    SIMULATOR_BALANCE: 'much',
    SIMULATOR_FAULTS: '{',
  });
  for (const problem of [
    /^- HOST must be a loopback address .* as long as no API key is configured/m,
    /^- PORT must be .* but is "eighty"/m,
    /^- SEGMIND_BASE_URL is set, but SEGMIND_API_KEY is not/m,
    /^- SIMULATOR_BALANCE must be .* but is "much"/m,
    /^- SIMULATOR_FAULTS must be JSON/m,
  ])
    expect(said).toMatch(problem);
  expect(said.match(/^- /gm)).toHaveLength(5);
});

test('latencies that no simulator can have are told before anything is started', async () => {
  await using scene = await setScene();
  expect(await complaint(scene, { SIMULATOR_LATENCY_P95_MS: '1' })).toMatch(/^- .*SIMULATOR_LATENCY_P95_MS.* must be/m);
});

test('a simulator that is not used may be set up as it likes', async () => {
  await using scene = await setScene();
  await scene.launch({
    SEGMIND_API_KEY: 'SG_aaaaaaaaaaaaaaaa',
    REDIS_URL: 'redis://127.0.0.1',
    SIMULATOR_BALANCE: 'much',
  });
});

test.for(['SG_aaaaaaaa aaaaaaaa', 'SG_aaaaaaaaäaaaaaaa', '“SG_aaaaaaaaaaaaaaaa”'])(
  'a key that cannot go into a header is refused, and not repeated: %s',
  async (key) => {
    await using scene = await setScene();
    const said = await complaint(scene, { SEGMIND_API_KEY: key });
    expect(said).toContain('SEGMIND_API_KEY must be at most 512 visible ASCII characters, without spaces.');
    expect(said).not.toContain('aaaaaaa');
  },
);

test('a file without a key is told by its name before anything is started, and so is a key that is given twice', async () => {
  await using scene = await setScene();
  const file = join(await temporaryFolder(), 'key');
  expect(await complaint(scene, { SEGMIND_API_KEY_FILE: file })).toContain(
    '- SEGMIND_API_KEY_FILE must be the path of a file, but there is no such file (ENOENT).',
  );
  await writeFile(file, 'SG_aaaaaaaa aaaaaaaa\n');
  const said = await complaint(scene, { SEGMIND_API_KEY_FILE: file, SEGMIND_API_KEY: 'SG_bbbbbbbbbbbbbbbb' });
  expect(said).toContain('- SEGMIND_API_KEY and SEGMIND_API_KEY_FILE are both set.');
  expect(said).toContain(`- SEGMIND_API_KEY_FILE names ${file}, which holds no key.`);
  expect(said).not.toMatch(/aaaaaaa|bbbbbbb/);
});

test('a start that failed does not say that renders are finished first; a stop does', async () => {
  await using scene = await setScene();
  await scene.make('worker', 'broken');
  const failed = await scene.launch().catch((error: Error) => error.message);
  expect(failed).toContain('The worker ended with code 1 before it was ready');
  expect(failed).not.toContain('Stopping');
  await using other = await setScene();
  const launcher = await other.launch();
  launcher.kill('SIGTERM');
  expect((await launcher.exited).output).toContain('Stopping: what is being rendered is finished first.');
});
