import { join } from 'node:path';
import { GenericContainer, Network, type StartedNetwork, type StartedTestContainer, Wait } from 'testcontainers';
import { cephConfiguration } from './ceph-configuration.ts';
import type { Keys, RunningS3 } from './s3-server.ts';

/** Pulling an image over a slow line; without a network the engine gives up sooner. */
const START_MS = 120_000;
/** Fetching and installing 60 MB of packages, once a machine. */
const BUILD_MS = 300_000;
const STAND_IN = 'renderyard-test/radosgw';
const S3_PORT = 7070;

/** What containers of the run's network find the run's servers by. */
export const IN_NETWORK = { redisUrl: 'redis://redis:6379', s3Endpoint: `http://s3:${S3_PORT}` } as const;

/** A network of the run's own, in which its servers have names. */
export const startNetwork = (): Promise<StartedNetwork> => new Network().start();

/** One Redis in a container, on the port that the engine gives. */
export async function startContainerRedis(network: StartedNetwork) {
  const container = await new GenericContainer('redis:8-alpine')
    .withExposedPorts(6379)
    .withNetwork(network)
    .withNetworkAliases('redis')
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

const running = (container: StartedTestContainer): RunningS3 => ({
  host: container.getHost(),
  port: container.getMappedPort(S3_PORT),
  stop: async () => {
    await container.stop();
  },
});

const inNetwork = (container: GenericContainer, network: StartedNetwork, keys: Keys) =>
  container
    .withExposedPorts(S3_PORT)
    .withNetwork(network)
    .withNetworkAliases('s3')
    .withEnvironment({ ROOT_ACCESS_KEY_ID: keys.accessKeyId, ROOT_SECRET_ACCESS_KEY: keys.secretAccessKey })
    .withStartupTimeout(START_MS);

/**
 * VersityGW, an S3 gateway to a folder, here one in memory. What files cannot have as attributes in memory lies in
 * files beside them.
 */
export async function startVersityGateway(keys: Keys, network: StartedNetwork): Promise<RunningS3> {
  const container = await inNetwork(new GenericContainer('versity/versitygw:v1.7.0'), network, keys)
    .withTmpFs({ '/store/data': 'rw', '/store/attributes': 'rw' })
    .withCommand([
      ...['--port', `:${S3_PORT}`, '--health', '/health'],
      ...['posix', '--sidecar', '/store/attributes', '/store/data'],
    ])
    .withWaitStrategy(Wait.forHttp('/health', S3_PORT))
    .start();
  return running(container);
}

/** Ceph's gateway in a container, of an image that is built from Debian's where none of a registry can be had. */
export async function startRadosgwContainer(keys: Keys, network: StartedNetwork): Promise<RunningS3> {
  const build = GenericContainer.fromDockerfile(join(import.meta.dirname, 'radosgw-image')).withBuildkit();
  const image = await within(BUILD_MS, build.build(STAND_IN, { deleteOnExit: false }));
  const content = cephConfiguration({ folder: '/s3', monitor: 3300, gateway: `0.0.0.0:${S3_PORT}` });
  const container = await inNetwork(image, network, keys)
    .withTmpFs({ '/s3': 'rw' })
    .withCopyContentToContainer([{ content, target: '/ceph.conf' }])
    .withWaitStrategy(Wait.forLogMessage('S3 is ready'))
    .start();
  return running(container);
}

/** What fails while an image is sent to the engine is not always told. @throws after that time. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The image was not built within ${ms / 1000} s.`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
