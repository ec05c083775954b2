import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { findFreePort } from '@renderyard/standalone/free-port';
import { type GuardedProcess, startGuarded } from '@renderyard/standalone/guarded-process';
import { findRedis, type RedisSource } from '@renderyard/standalone/redis-source';
import { Redis } from 'ioredis';
import { PACKAGES } from './cache-folder.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

type Program = Extract<RedisSource, { kind: 'program' }>;
const READY = 'Ready to accept connections';
const SENTINEL_READY = 'Sentinel ID is';
/** A password that must be encoded in a URL, and its form there. */
const PASSWORD = 'p@ss:/w?rd#%';
const ENCODED = encodeURIComponent(PASSWORD);
/** By default a master waits five seconds for other replicas to come. */
const SYNC_AT_ONCE = 'repl-diskless-sync-delay 0\n';
const SENTINEL_PASSWORD = 'of the+sentinel';

/** One server of a set, which may be killed, frozen and started again with its data. */
interface Node {
  readonly port: number;
  /** For looking and for setting up; connects again by itself. */
  readonly client: Redis;
  kill(signal: NodeJS.Signals): void;
  /** After it ended: the same again, on the same port. */
  restart(): Promise<void>;
}

/** Waits for a state of a server. @throws {Error} after 20 s, naming it. */
async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000;
  while (!(await check().catch(() => false))) {
    if (Date.now() > end) throw new Error(`Waited in vain until ${what}.`);
    await systemClock.sleep(25);
  }
}

/** The program that serves, looks after others as a sentinel, and is a node of a cluster. */
async function findProgram(): Promise<Program> {
  const source = await findRedis({ packagesDir: PACKAGES, env: process.env });
  if (source.kind === 'program') return source;
  throw new Error('These tests need redis-server or valkey-server as a program, which this machine does not have.');
}

/** Starts servers in one folder, and ends all of them with it. */
async function createFarm(): Promise<
  AsyncDisposable & {
    start(options: { readonly config: string; readonly password: string; readonly sentinel?: boolean }): Promise<Node>;
  }
> {
  const program = await findProgram();
  const folder = await makeTemporaryFolder('redis-set');
  const running = new Set<GuardedProcess>();
  const clients: Redis[] = [];
  return {
    async start({ config, password, sentinel = false }) {
      const port = await findFreePort();
      const dir = join(folder, String(port));
      await mkdir(dir);
      const file = join(dir, 'redis.conf');
      await writeFile(file, `bind 127.0.0.1\nport ${port}\ndir ${dir}\ndaemonize no\n${config}`);
      const run = async () => {
        let ready = () => {};
        const untilReady = new Promise<void>((resolve) => {
          ready = resolve;
        });
        const server = startGuarded({
          command: program.file,
          args: sentinel ? [file, '--sentinel'] : [file],
          env: program.env,
          cwd: dir,
          onLine: (line) => {
            if (line.includes(sentinel ? SENTINEL_READY : READY)) ready();
          },
        });
        running.add(server);
        await Promise.race([
          untilReady,
          server.exited.then((end) => {
            throw new Error(`A Redis ended while it started:\n${end.output}`);
          }),
        ]);
        return server;
      };
      let server = await run();
      const client = new Redis({ port, host: '127.0.0.1', password, retryStrategy: () => 50 });
      // It is away whenever its server was killed.
      client.on('error', () => undefined);
      clients.push(client);
      return {
        port,
        client,
        kill: (signal) => server.kill(signal),
        restart: async () => {
          await server.exited;
          running.delete(server);
          server = await run();
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client.disconnect();
      for (const server of running) server.kill('SIGKILL');
      await Promise.all([...running].map((server) => server.exited));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A master and its replica, looked after by one sentinel, all with passwords. */
export interface SentinelSet extends AsyncDisposable {
  /** Names a sentinel that is away before the one that is there. */
  readonly url: string;
  readonly sentinel: Node;
  readonly master: Node;
  readonly replica: Node;
  /** The port of the master as the sentinel knows it. */
  masterPort(): Promise<number>;
}

/** Starts them; a master that is silent for half a second is replaced. Use it with `await using`. */
export async function startSentinelSet(): Promise<SentinelSet> {
  const farm = await createFarm();
  try {
    const server = `requirepass "${PASSWORD}"\nmasterauth "${PASSWORD}"\nsave ""\n${SYNC_AT_ONCE}`;
    const master = await farm.start({ config: server, password: PASSWORD });
    const replica = await farm.start({
      config: `${server}replicaof 127.0.0.1 ${master.port}\n`,
      password: PASSWORD,
    });
    // The sentinel asks the master for its replicas when it starts, and then every ten seconds.
    await until('the replica has all of the master', async () =>
      (await replica.client.info('replication')).includes('master_link_status:up'),
    );
    const sentinel = await farm.start({
      config: `requirepass "${SENTINEL_PASSWORD}"
sentinel monitor yard 127.0.0.1 ${master.port} 1
sentinel auth-pass yard "${PASSWORD}"
sentinel down-after-milliseconds yard 500
sentinel failover-timeout yard 3000
`,
      password: SENTINEL_PASSWORD,
      sentinel: true,
    });
    await until('the sentinel knows the replica', async () =>
      JSON.stringify(await sentinel.client.call('SENTINEL', 'REPLICAS', 'yard')).includes(String(replica.port)),
    );
    const away = await findFreePort();
    return {
      url: `redis+sentinel://:${ENCODED}@127.0.0.1:${away},127.0.0.1:${sentinel.port}/yard?sentinel_password=${encodeURIComponent(SENTINEL_PASSWORD)}`,
      sentinel,
      master,
      replica,
      masterPort: async () => {
        const answer = (await sentinel.client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'yard')) as string[];
        return Number(answer[1]);
      },
      [Symbol.asyncDispose]: () => farm[Symbol.asyncDispose](),
    };
  } catch (error) {
    await farm[Symbol.asyncDispose]();
    throw error;
  }
}

/** A cluster of three masters, one of them with a replica, all with a password. */
export interface TestCluster extends AsyncDisposable {
  /** Names the masters alone. */
  readonly url: string;
  /** The master that has the slot of the key that was asked for. */
  readonly owner: Node;
  readonly replicaOfOwner: Node;
  readonly nodes: readonly Node[];
}

const SLOTS = [
  [0, 5460],
  [5461, 10_922],
  [10_923, 16_383],
] as const;

/**
 * Starts it; what it acknowledged outlives the death of nodes by append-only files, and a master that is silent for a
 * second is replaced where it has a replica. Use it with `await using`.
 * @param key whose master has the replica.
 */
export async function startCluster(key: string): Promise<TestCluster> {
  const farm = await createFarm();
  try {
    const startNode = async () => {
      // By default 10,000 above the port, which may be beyond the last one.
      const bus = await findFreePort();
      const config = `requirepass "${PASSWORD}"
masterauth "${PASSWORD}"
${SYNC_AT_ONCE}save ""
appendonly yes
appendfsync everysec
cluster-enabled yes
cluster-port ${bus}
cluster-node-timeout 1000
`;
      return { bus, ...(await farm.start({ config: config, password: PASSWORD })) };
    };
    const [first, second, third, replica] = await Promise.all([startNode(), startNode(), startNode(), startNode()]);
    const masters = [first, second, third] as const;
    const nodes = [...masters, replica] as const;
    for (const [i, { client }] of masters.entries()) {
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
      await client.call('CLUSTER', 'ADDSLOTSRANGE', ...(SLOTS[i] ?? []));
    }
    for (const { port, bus } of nodes.slice(1)) await first.client.call('CLUSTER', 'MEET', '127.0.0.1', port, bus);
    const slot = Number(await first.client.call('CLUSTER', 'KEYSLOT', key));
    const owner = masters[SLOTS.findIndex(([, to]) => slot <= to)] ?? first;
    const ownersId = String(await owner.client.call('CLUSTER', 'MYID'));
    await until('the replica knows its master', async () =>
      String(await replica.client.call('CLUSTER', 'REPLICATE', ownersId)).startsWith('OK'),
    );
    await until('the nodes are a cluster', async () => {
      const states = await Promise.all(nodes.map(({ client }) => client.call('CLUSTER', 'INFO')));
      return states.every((state) =>
        ['cluster_state:ok', 'cluster_known_nodes:4', 'cluster_size:3'].every((line) => String(state).includes(line)),
      );
    });
    await until('the replica has all of its master, and all know it', async () => {
      const lists = await Promise.all(nodes.map(({ client }) => client.call('CLUSTER', 'NODES')));
      return (
        (await replica.client.info('replication')).includes('master_link_status:up') &&
        lists.every((list) => String(list).includes(`slave ${ownersId}`))
      );
    });
    return {
      url: `redis://:${ENCODED}@${masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
      owner,
      replicaOfOwner: replica,
      nodes,
      [Symbol.asyncDispose]: () => farm[Symbol.asyncDispose](),
    };
  } catch (error) {
    await farm[Symbol.asyncDispose]();
    throw error;
  }
}
