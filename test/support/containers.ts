import { GenericContainer, Wait } from 'testcontainers';
import type { Keys, RunningS3 } from './s3-server.ts';

/** Pulling an image over a slow line; without a network the engine gives up sooner. */
const START_MS = 120_000;

/** One Redis in a container, on the port that the engine gives. */
export async function startContainerRedis() {
  const container = await new GenericContainer('redis:8-alpine')
    .withExposedPorts(6379)
    .withCommand(['redis-server', '--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'])
    .withWaitStrategy(Wait.forLogMessage(/Ready to accept connections/))
    .withStartupTimeout(START_MS)
    .start();
  return {
    url: `redis://${container.getHost()}:${container.getMappedPort(6379)}`,
    stop: async () => {
      await container.stop();
    },
  };
}

/**
 * VersityGW, an S3 gateway to a folder, here one in memory. What files cannot have as attributes in memory lies in
 * files beside them.
 */
export async function startVersityGateway(keys: Keys): Promise<RunningS3> {
  const container = await new GenericContainer('versity/versitygw:v1.7.0')
    .withExposedPorts(7070)
    .withEnvironment({ ROOT_ACCESS_KEY_ID: keys.accessKeyId, ROOT_SECRET_ACCESS_KEY: keys.secretAccessKey })
    .withTmpFs({ '/store/data': 'rw', '/store/attributes': 'rw' })
    .withCommand(['--port', ':7070', '--health', '/health', 'posix', '--sidecar', '/store/attributes', '/store/data'])
    .withWaitStrategy(Wait.forHttp('/health', 7070))
    .withStartupTimeout(START_MS)
    .start();
  return {
    host: container.getHost(),
    port: container.getMappedPort(7070),
    stop: async () => {
      await container.stop();
    },
  };
}
