import { rm } from 'node:fs/promises';
import { findContainerEngine } from '@renderyard/standalone/container-engine';
import { startRedis } from '@renderyard/standalone/redis-server';
import type { TestProject } from 'vitest/node';
import { PACKAGES } from './cache-folder.ts';
import { startContainerRedis, startVersityGateway } from './containers.ts';
import { createLazyForward } from './lazy-forward.ts';
import { fetchRadosgw, startRadosgw } from './radosgw.ts';
import type { RunningS3 } from './s3-server.ts';
import { makeTemporaryFolder, sweepTemporaryFolders } from './temporary-folder.ts';

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

/** Tries containers where they were chosen, and the machine's own servers where they cannot be had. */
async function preferContainer<T>(
  kind: 'local' | 'containers',
  name: string,
  container: () => Promise<T>,
  local: () => Promise<T>,
): Promise<T> {
  if (kind === 'local') return local();
  try {
    return await container();
  } catch (error) {
    say(`${name} did not start in a container, so the tests use one of their own: ${String(error).slice(0, 300)}`);
    return local();
  }
}

/**
 * Starts what the tests need before the first of them runs: one Redis, and one S3 server, the latter when it is first
 * asked for. Both end with this process, however it ends.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweepTemporaryFolders();
  const servers = await chooseServers();
  const redis =
    servers.forced && servers.kind === 'containers'
      ? await startContainerRedis()
      : await preferContainer(servers.kind, 'Redis', startContainerRedis, startLocalRedis);
  project.provide('redisUrl', redis.url);

  // A download would use up the time of whichever test comes first. What fails here fails again, and is told, there.
  if (servers.kind === 'local') await fetchRadosgw(process.env).catch(() => undefined);
  // Known before the server runs, because tests are told at once.
  let s3: RunningS3 | undefined;
  const keys = { accessKeyId: 'renderyardtests', secretAccessKey: 'of-a-server-that-lives-in-memory' };
  const forward = await createLazyForward(
    async () => {
      s3 = await preferContainer(
        servers.kind,
        'The S3 server',
        () => startVersityGateway(keys),
        () => startRadosgw(keys, process.env),
      );
      return s3;
    },
    (error) => say(`The S3 server of the tests does not start: ${String(error)}`),
  );
  project.provide('s3', { endpoint: `http://127.0.0.1:${forward.port}`, region: 'us-east-1', ...keys });

  return async () => {
    await forward.close();
    await Promise.all([s3?.stop(), redis.stop()]);
  };
}
