import { rm } from 'node:fs/promises';
import { findContainerEngine } from '@renderyard/standalone/container-engine';
import { startRedis } from '@renderyard/standalone/redis-server';
import type { StartedNetwork } from 'testcontainers';
import type { TestProject } from 'vitest/node';
import { PACKAGES } from './cache-folder.ts';
import { startContainerRedis, startNetwork, startRadosgwContainer, startVersityGateway } from './containers.ts';
import { createLazyForward } from './lazy-forward.ts';
import type { S3Server } from './provided.ts';
import { fetchRadosgw, startRadosgw } from './radosgw.ts';
import type { Keys, RunningS3 } from './s3-server.ts';
import { makeTemporaryFolder, sweepTemporaryFolders } from './temporary-folder.ts';

/** What stands in for a server that cannot be had; tried one after the other. */
type Ways<T> = readonly (readonly [what: string, start: () => Promise<T>])[];

const say = (text: string) => process.stderr.write(`${text}\n`);

/** `TEST_SERVERS=local|containers` decides; without it, containers where an engine answers. */
async function chooseServers(): Promise<{ readonly kind: 'local' | 'containers'; readonly forced: boolean }> {
  const wanted = process.env.TEST_SERVERS ?? '';
  if (wanted === 'local' || wanted === 'containers') return { kind: wanted, forced: true };
  if (wanted !== '') throw new Error(`TEST_SERVERS must be local or containers, but is ${JSON.stringify(wanted)}.`);
  return { kind: (await findContainerEngine(process.env)) === undefined ? 'local' : 'containers', forced: false };
}

async function startLocalRedis() {
  const dataDir = await makeTemporaryFolder('redis');
  const redis = await startRedis({
    dataDir,
    persistence: 'none',
    env: process.env,
    packagesDir: PACKAGES,
    notice: say,
  });
  return {
    url: redis.url,
    stop: async () => {
      await redis.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** The first that starts. @throws what the last one threw. */
async function firstOf<T>(ways: Ways<T>): Promise<T> {
  for (const [i, [what, start]] of ways.entries()) {
    try {
      return await start();
    } catch (error) {
      const next = ways[i + 1]?.[0];
      if (next === undefined) throw error;
      say(`${what} did not start, so the tests use ${next}: ${String(error).slice(0, 300)}`);
    }
  }
  throw new Error('There is no way to start this server.');
}

/** The S3 server in a container; where containers are not insisted on, also one of this machine. */
function waysToS3(network: StartedNetwork, keys: Keys, forced: boolean): Ways<RunningS3> {
  return [
    ['VersityGW in a container', () => startVersityGateway(keys, network)],
    ["Ceph's gateway in a container built from Debian", () => startRadosgwContainer(keys, network)],
    ...(forced ? [] : [["Ceph's gateway on this machine", () => startRadosgw(keys, process.env)] as const]),
  ];
}

/** What a run has: its addresses, and how it ends. */
interface Servers {
  readonly redisUrl: string;
  readonly network: string | null;
  readonly s3: S3Server;
  stop(): Promise<void>;
}

async function startServers(): Promise<Servers> {
  const { kind, forced } = await chooseServers();
  const network =
    kind === 'local'
      ? undefined
      : await startNetwork().catch((error: unknown) => {
          if (forced) throw error;
          say(`No network of containers can be made, so the tests use servers of this machine: ${String(error)}`);
          return undefined;
        });
  const local = ['a Redis of this machine', startLocalRedis] as const;
  const container = (within: StartedNetwork) => ['Redis in a container', () => startContainerRedis(within)] as const;
  const redis = await firstOf(network === undefined ? [local] : [container(network), ...(forced ? [] : [local])]);
  // A download would use up the time of whichever test comes first. What fails here fails again, and is told, there.
  if (network === undefined) await fetchRadosgw(process.env).catch(() => undefined);
  // Known before the server runs, because tests are told at once.
  let s3: RunningS3 | undefined;
  const keys = { accessKeyId: 'renderyardtests', secretAccessKey: 'of-a-server-that-lives-in-memory' };
  const forward = await createLazyForward(
    async () => {
      s3 = await (network === undefined ? startRadosgw(keys, process.env) : firstOf(waysToS3(network, keys, forced)));
      return s3;
    },
    (error) => say(`The S3 server of the tests does not start: ${String(error)}`),
  );
  return {
    redisUrl: redis.url,
    network: network?.getName() ?? null,
    s3: { endpoint: `http://127.0.0.1:${forward.port}`, region: 'us-east-1', ...keys },
    stop: async () => {
      await forward.close();
      await Promise.all([s3?.stop(), redis.stop()]);
      // One that is still in use goes with what uses it, by the containers' reaper.
      await network?.stop().catch((error: unknown) => say(`The network of the tests is left over: ${String(error)}`));
    },
  };
}

/** The projects of a run load this file each for themselves, and share the servers by this. */
const run = globalThis as { renderyardServers?: { users: number; readonly started: Promise<Servers> } };

/**
 * Starts what the tests need before the first of them runs: one Redis, and one S3 server, the latter when it is first
 * asked for. Both end with this process, however it ends.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (run.renderyardServers === undefined) {
    run.renderyardServers = { users: 0, started: sweepTemporaryFolders().then(startServers) };
  }
  const shared = run.renderyardServers;
  shared.users += 1;
  const servers = await shared.started;
  project.provide('redisUrl', servers.redisUrl);
  project.provide('network', servers.network);
  project.provide('s3', servers.s3);
  return async () => {
    shared.users -= 1;
    if (shared.users === 0) await servers.stop();
  };
}
