import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identifyProcess, isRunning, type ProcessIdentity } from '@renderyard/standalone/process-identity';
import { expect } from 'vitest';
import { PACKAGES } from '../support/cache-folder.ts';
import { type ServiceProcess, startProcess } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

type Service = 'api' | 'worker' | 'simulator';

/** The all-in-one process with stand-ins for the services, in folders of its own. */
export interface Scene extends AsyncDisposable {
  readonly dataDir: string;
  /** Starts the launcher; at most once at a time, or it refuses. */
  launch(env?: Readonly<Record<string, string>>, args?: readonly string[]): Promise<ServiceProcess>;
  /** What the stand-ins told, in order. */
  journal(): Promise<readonly string[]>;
  /** What the stand-in that was ready last was given. */
  service(name: Service): Promise<{ readonly pid: number; readonly env: Readonly<Record<string, string>> }>;
  /** Tells a stand-in what to do from its next start, or stop, on. */
  make(name: Service, what: 'broken' | 'stuck'): Promise<void>;
  /** Everything that runs for the launcher now. */
  running(): Promise<readonly ProcessIdentity[]>;
}

/** Resolves when none of the processes runs any more. */
export async function untilGone(processes: readonly ProcessIdentity[], timeout = 10_000): Promise<void> {
  await expect
    .poll(async () => (await Promise.all(processes.map(isRunning))).filter((state) => state !== 'no'), { timeout })
    .toEqual([]);
}

/** @param file what is launched. */
export async function setScene(file = join(import.meta.dirname, 'stand-ins/launch.ts')): Promise<Scene> {
  const folder = await makeTemporaryFolder('scene');
  const dataDir = join(folder, 'data');
  const standIns = join(folder, 'stand-ins');
  await mkdir(dataDir);
  await mkdir(standIns);
  // What the tests have unpacked once need not be fetched again.
  await mkdir(PACKAGES, { recursive: true });
  await symlink(PACKAGES, join(dataDir, 'packages'));
  const launched: ServiceProcess[] = [];
  const service = async (name: Service) => JSON.parse(await readFile(join(standIns, `${name}.json`), 'utf8'));
  return {
    dataDir,
    launch: async (env = {}, args = []) => {
      const launcher = await startProcess({
        name: 'launcher',
        file,
        args,
        env: { DATA_DIR: dataDir, STAND_IN_DIR: standIns, PORT: '0', ...env },
      });
      launched.push(launcher);
      return launcher;
    },
    journal: async () =>
      (await readFile(join(standIns, 'journal'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== ''),
    service,
    make: (name, what) => writeFile(join(standIns, `${name}.${what}`), ''),
    running: async () => {
      const redis = JSON.parse(await readFile(join(dataDir, 'redis/process.json'), 'utf8')) as ProcessIdentity;
      const pids = await Promise.all(
        (['api', 'worker', 'simulator'] as const).map(async (name) => (await service(name)).pid),
      );
      return [redis, ...(await Promise.all(pids.map((pid) => identifyProcess(pid))))];
    },
    [Symbol.asyncDispose]: async () => {
      for (const launcher of launched) await launcher[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
