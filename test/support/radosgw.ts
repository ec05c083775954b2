import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type PackageSet, type UnpackedPackages, unpackDebianPackages } from '@renderyard/standalone/debian-packages';
import { findFreePort } from '@renderyard/standalone/free-port';
import { type GuardedProcess, startGuarded } from '@renderyard/standalone/guarded-process';
import { PACKAGES } from './cache-folder.ts';
import { cephConfiguration } from './ceph-configuration.ts';
import type { Keys, RunningS3 } from './s3-server.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const run = promisify(execFile);
const CEPH: PackageSet = {
  name: 'radosgw',
  packages: ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph-base', 'ceph-common'],
  needs: /^lib/,
};
/** It starts in one second; on a machine under load, in some. */
const START_MS = 60_000;
type Env = Readonly<Record<string, string | undefined>>;

async function untilListening(port: number, gateway: GuardedProcess): Promise<void> {
  const end = performance.now() + START_MS;
  for (;;) {
    if (!gateway.running) throw new Error(`radosgw ended while it started:\n${(await gateway.exited).output}`);
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (answer !== undefined) {
      await answer.body?.cancel();
      return;
    }
    if (performance.now() > end) throw new Error(`radosgw did not answer within ${START_MS / 1000} s.`);
    await sleep(20);
  }
}

/** Starts the three processes in their order, each as soon as the one before is up; returns the gateway's port. */
async function startCluster(options: {
  readonly folder: string;
  readonly packages: UnpackedPackages;
  readonly env: Env;
  readonly keys: Keys;
  readonly processes: GuardedProcess[];
}): Promise<number> {
  const { folder, packages, keys, processes } = options;
  const config = join(folder, 'ceph.conf');
  const ports = { monitor: await findFreePort(), gateway: await findFreePort() };
  const env = { ...options.env, LD_LIBRARY_PATH: packages.libraries.join(':') };
  const program = (name: string) => join(packages.programs, name);
  const tool = (name: string, ...args: readonly string[]) => run(program(name), ['-c', config, ...args], { env });
  const daemon = (name: string, args: readonly string[], onLine?: (line: string) => void) => {
    const started = startGuarded({
      command: program(name),
      args: ['-c', config, '-f', ...args],
      env,
      // Nothing of it is kept, and asked politely the gateway waits two minutes for a disk that is gone.
      orphanMs: 100,
      ...(onLine === undefined ? {} : { onLine }),
    });
    processes.push(started);
    return started;
  };
  const plugins = (name: string) => packages.libraries.find((path) => path.endsWith(`/${name}`)) ?? folder;
  const gateway = `127.0.0.1:${ports.gateway}`;
  await writeFile(config, cephConfiguration({ folder, monitor: ports.monitor, gateway, plugins }));
  for (const part of ['mon', 'osd', 'rgw', 'run']) await mkdir(join(folder, part));

  const file = (name: string) => join(folder, name);
  await Promise.all([
    tool('monmaptool', '--create', '--addv', 'a', `[v2:127.0.0.1:${ports.monitor}]`, file('monmap')),
    // A map that has the disk already saves registering it, for which Ceph's own tool needs Python.
    tool('osdmaptool', '--createsimple', '1', file('osdmap')),
    tool('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', randomUUID(), '--no-mon-config'),
  ]);
  await tool('ceph-mon', '-i', 'a', '--mkfs', '--monmap', file('monmap'), '--osdmap', file('osdmap'));
  daemon('ceph-mon', ['-i', 'a']);
  // The gateway makes its pools when it starts, and waits for seconds if no disk is there yet.
  let disk: GuardedProcess | undefined;
  const active = new Promise<void>((resolve) => {
    disk = daemon('ceph-osd', ['-i', '0'], (line) => {
      if (line.includes('state: booting -> active')) resolve();
    });
  });
  const early = await Promise.race([active, disk?.exited, sleep(START_MS, 'late', { ref: false })]);
  if (early !== undefined) throw new Error(`ceph-osd did not come up: ${JSON.stringify(early)}`);
  await untilListening(ports.gateway, daemon('radosgw', ['-n', 'client.rgw']));
  await tool(
    'radosgw-admin',
    ...['-n', 'client.rgw', 'user', 'create', '--uid', 'test', '--display-name', 'test'],
    ...['--access-key', keys.accessKeyId, '--secret-key', keys.secretAccessKey],
  );
  return ports.gateway;
}

/**
 * Fetches what `startRadosgw` runs, 60 MB, once for all runs.
 * @throws {PackagesError} where there are no such packages.
 */
export function fetchRadosgw(env: Env): Promise<UnpackedPackages> {
  return unpackDebianPackages({ set: CEPH, into: PACKAGES, env });
}

/**
 * Starts Ceph's S3 gateway from the packages of Debian or Ubuntu, unpacked and not installed, with all data in
 * memory. It checks signatures and knows conditional and multipart uploads as S3 does.
 * @throws {PackagesError} where there are no such packages.
 */
export async function startRadosgw(keys: Keys, env: Env): Promise<RunningS3> {
  const packages = await fetchRadosgw(env);
  for (let attempt = 1; ; attempt++) {
    const folder = await makeTemporaryFolder('s3');
    const processes: GuardedProcess[] = [];
    const stop = async () => {
      await Promise.all(processes.map((started) => started.stop(0)));
      await rm(folder, { recursive: true, force: true });
    };
    try {
      return { host: '127.0.0.1', port: await startCluster({ folder, packages, env, keys, processes }), stop };
    } catch (error) {
      await stop();
      // A port that was free when we asked may be gone.
      if (attempt === 3) throw error;
    }
  }
}
