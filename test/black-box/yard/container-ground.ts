import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers';
import { freePort } from './free-port.ts';
import type { Ground, Place, Program, Settings } from './ground.ts';
import { START_MS } from './ground.ts';

/** Where the run's servers and the image are; see `BlackBoxPlace`. */
interface Containers {
  /** Has the engine look after their health as the image says; a process each time, which many cannot afford. */
  readonly healthChecks: boolean;
  readonly image: string;
  readonly network: string;
  readonly redisUrl: string;
  readonly s3Endpoint: string;
}

/** Ports within the containers. */
const MAIN = { api: 8080, worker: 9464, simulator: 8090, receiver: 9000 } as const;
const OPERATIONS = 9464;
/** A host name is known to the users of the engine's network alone. */
const PRIVATE_NETWORKS = '10.0.0.0/8,172.16.0.0/12,192.168.0.0/16';
/** One request, by the Node of the image, which has no curl. */
const REQUEST = `const [url, method, body] = process.argv.slice(1);
const json = body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body };
const answer = await fetch(url, { method, ...json });
process.stdout.write(JSON.stringify({ status: answer.status, text: await answer.text() }));`;

function settingsOf({ name }: Place, settings: Settings): Settings {
  if (name === 'api') return { HOST: '0.0.0.0', PORT: String(MAIN.api), ...settings };
  if (name === 'simulator') return { SIMULATOR_HOST: '0.0.0.0', SIMULATOR_PORT: String(MAIN.simulator), ...settings };
  if (name === 'receiver') return { HOST: '0.0.0.0', PORT: String(MAIN.receiver), ...settings };
  return settings;
}

function containerOf(place: Place, { image, network, healthChecks }: Containers, settings: Settings): GenericContainer {
  const { name, ports, id } = place;
  const main = MAIN[name];
  const container = new GenericContainer(image)
    .withNetworkMode(network)
    .withNetworkAliases(hostOf(place))
    .withEnvironment(settingsOf(place, settings))
    .withExposedPorts(
      name === 'api' ? { container: main, host: ports.main } : main,
      ...(name === 'api' ? [OPERATIONS] : []),
    )
    .withLabels({ 'org.renderyard.black-box': id })
    .withStartupTimeout(START_MS)
    .withWaitStrategy(Wait.forHttp('/health/live', main).forStatusCodeMatching(() => true));
  // There is no method for this, nor for what follows.
  if (!healthChecks) Object.assign(Reflect.get(container, 'createOpts'), { Healthcheck: { Test: ['NONE'] } });
  if (name === 'receiver')
    return container
      .withCopyFilesToContainer([
        { source: join(import.meta.dirname, '../stand-ins/receiver.ts'), target: '/tmp/receiver.ts' },
      ])
      .withEntrypoint(['node', '/tmp/receiver.ts']);
  Object.assign(Reflect.get(container, 'hostConfig'), { ReadonlyRootfs: true });
  return container
    .withTmpFs({ '/tmp': 'size=64m', '/data': 'size=256m,uid=1000,gid=1000' })
    .withDroppedCapabilities('ALL')
    .withSecurityOpt('no-new-privileges')
    .withCommand([name]);
}

const hostOf = ({ name, id }: Pick<Place, 'name' | 'id'>) => `${name}-${id.slice(0, 8)}`;

/** Where the test reaches a port of the container. */
const reached = (container: StartedTestContainer, port: number) =>
  `http://${container.getHost()}:${container.getMappedPort(port)}`;

async function start(place: Place, containers: Containers, settings: Settings): Promise<Program> {
  const { name } = place;
  const lines: string[] = [];
  const container = await containerOf(place, containers, settings)
    .withLogConsumer((stream) => createInterface({ input: stream }).on('line', (line) => lines.push(line)))
    .start()
    .catch((error: unknown) => {
      throw new Error(`The ${name} did not start: ${String(error)}\n${lines.slice(-20).join('\n')}`);
    });
  const engine = (await getContainerRuntimeClient()).container.getById(container.getId());
  const exited = engine.wait().then(({ StatusCode }: { StatusCode: number }) => StatusCode);
  // It is asked for by some tests only.
  exited.catch(() => undefined);
  return {
    name,
    url: name === 'worker' ? '' : reached(container, MAIN[name]),
    operationsUrl: name === 'api' || name === 'worker' ? reached(container, OPERATIONS) : '',
    peerUrl: place.peerUrl,
    lines,
    exited,
    signal: async (signal) => {
      await engine.kill({ signal });
    },
    stop: async (graceMs) => {
      await engine.stop({ t: Math.ceil(graceMs / 1000) });
    },
    fromWithin: async (method, path, body) => {
      const url = `http://127.0.0.1:${MAIN[name]}${path}`;
      const json = body === undefined ? [] : [JSON.stringify(body)];
      const done = await container.exec(['node', '--input-type=module', '-e', REQUEST, url, method, ...json]);
      if (done.exitCode !== 0) throw new Error(`${method} ${url} from within: ${done.output}`);
      return JSON.parse(done.stdout);
    },
    container: {
      run: async (command) => {
        const { exitCode, stdout, stderr } = await container.exec([...command]);
        return { code: exitCode, stdout, stderr };
      },
      inspect: () => engine.inspect(),
    },
    remove: async () => {
      await engine.remove({ force: true });
    },
  };
}

/**
 * Programs as containers of the built image, with a root file system that cannot be written, no capabilities, and not
 * as root; the receiver with the suite's own file in it.
 */
export function createContainerGround(containers: Containers, settings: Settings): Ground {
  return {
    servers: {
      ...settings,
      REDIS_URL: containers.redisUrl,
      AWS_ENDPOINT_URL_S3: containers.s3Endpoint,
      // The bucket's own links would name a host that only the containers know.
      IMAGE_LINKS: 'api',
    },
    networks: PRIVATE_NETWORKS,
    place: async (name) => {
      const id = randomUUID();
      // The API's links name it, so it has to be known before the container starts.
      const main = await freePort();
      const peerUrl = `http://${hostOf({ name, id })}:${MAIN[name]}`;
      const { info } = await getContainerRuntimeClient();
      const url = `http://${info.containerRuntime.host}:${main}`;
      return { name, id, url, peerUrl, ports: { main, operations: OPERATIONS } };
    },
    start: (place, own) => start(place, containers, own),
  };
}
