import { randomBytes } from 'node:crypto';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from './free-port.ts';
import { type Ended, type GuardedProcess, startGuarded } from './guarded-process.ts';
import { startInContainer } from './redis-container.ts';
import { awaitPredecessor, recordProcess } from './redis-record.ts';
import { findRedis, type RedisSource } from './redis-source.ts';

type Env = Readonly<Record<string, string | undefined>>;
/** Loading an append-only file of some gigabytes takes a minute. */
const READY_MS = 180_000;
const STOP_MS = 10_000;
const PORT_TAKEN = /address already in use|port is already allocated|could not create server tcp listening socket/i;

export interface RedisServerOptions {
  /** Its data lie in `redis/` below it. */
  readonly dataDir: string;
  /** `aof`: every write is on disk within a second. `none`: nothing is kept. */
  readonly persistence: 'aof' | 'none';
  readonly env: Env;
  /** Where packages are unpacked; `packages/` in the data directory by default. */
  readonly packagesDir?: string;
  /** A free one by default. */
  readonly port?: number;
  /** A new one by default. */
  readonly password?: string;
  /** What was found before; by default `findRedis` looks. */
  readonly source?: RedisSource;
  /** Told what takes time. */
  readonly notice?: (text: string) => void;
  /** Gives up the search for a Redis, which may be a download. */
  readonly signal?: AbortSignal;
  /** Called with each line that Redis writes. */
  readonly onLine?: (line: string) => void;
}

export interface RedisServer {
  /** `redis://:password@127.0.0.1:port` */
  readonly url: string;
  readonly port: number;
  readonly password: string;
  /** Of the server, or of the container engine's client. */
  readonly pid: number;
  readonly source: RedisSource;
  /** Resolves when it ended, for whatever reason. Never rejects. */
  readonly exited: Promise<Ended>;
  /** Sends a signal, for instance to freeze it or to kill it. */
  kill(signal: NodeJS.Signals): void;
  /** Lets it write what it has and end; kills it after ten seconds. */
  stop(): Promise<void>;
}

/** Thrown when Redis was found but does not start. The message has its last words. */
export class RedisStartError extends Error {
  override readonly name = 'RedisStartError';
}

/** Configuration goes by a file, because arguments can be read by every user of the machine. */
function configuration(options: {
  readonly dir: string;
  readonly bind: string;
  readonly port: number;
  readonly password: string;
  readonly persistence: 'aof' | 'none';
}): string {
  return `bind ${options.bind}
port ${options.port}
requirepass ${options.password}
dir ${JSON.stringify(options.dir)}
save ""
appendonly ${options.persistence === 'aof' ? 'yes' : 'no'}
appendfsync everysec
maxmemory-policy noeviction
daemonize no
`;
}

async function untilReady(server: GuardedProcess, ready: Promise<void>): Promise<Ended | 'ready' | 'late'> {
  const late = new AbortController();
  try {
    return await Promise.race([
      ready.then(() => 'ready' as const),
      server.exited,
      sleep(READY_MS, 'late' as const, { signal: late.signal }),
    ]);
  } finally {
    late.abort();
  }
}

/**
 * Starts a Redis of our own: on the loopback address only, with a password, and never longer alive than we are.
 * It resolves when Redis has loaded its data and takes connections.
 * @throws {NoRedisError} when there is none, {RedisStartError} when it does not start,
 * {PredecessorError} when one of an earlier start does not end.
 */
export async function startRedis(options: RedisServerOptions): Promise<RedisServer> {
  const { persistence, onLine } = options;
  const home = resolve(options.dataDir);
  const dir = join(home, 'redis');
  const packagesDir = options.packagesDir ?? join(home, 'packages');
  const source = options.source ?? (await findRedis({ ...options, packagesDir }));
  await mkdir(dir, { recursive: true });
  await chmod(dir, 0o700);
  const config = join(dir, 'redis.conf');
  await awaitPredecessor(dir);
  const password = options.password ?? randomBytes(18).toString('base64url');

  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await findFreePort());
    const inside =
      source.kind === 'container' ? { dir: '/data', bind: '*', port: 6379 } : { dir, bind: '127.0.0.1', port };
    await rm(config, { force: true });
    await writeFile(config, configuration({ ...inside, password, persistence }), { mode: 0o600 });
    let signalReady = () => {};
    const ready = new Promise<void>((done) => {
      signalReady = done;
    });
    const watch = (line: string) => {
      // Only after it has bound its port and loaded its data; a PING might be answered by somebody else's Redis.
      if (line.includes('Ready to accept connections')) signalReady();
      onLine?.(line);
    };
    const server =
      source.kind === 'container'
        ? startInContainer({ source, dir, port, onLine: watch })
        : startGuarded({ command: source.file, args: [config], env: source.env, cwd: dir, onLine: watch });
    try {
      await recordProcess(dir, server.pid);
    } catch (error) {
      // Without its record the next one would not wait for it.
      await server.stop(STOP_MS);
      throw error;
    }
    const state = await untilReady(server, ready);
    if (state === 'ready') {
      return {
        url: `redis://:${password}@127.0.0.1:${port}`,
        port,
        password,
        pid: server.pid,
        source,
        exited: server.exited,
        kill: server.kill,
        stop: async () => {
          await server.stop(STOP_MS);
        },
      };
    }
    if (state === 'late') {
      await server.stop(STOP_MS);
      throw new RedisStartError(`Redis (${source.description}) was not ready within ${READY_MS / 1000} s.`);
    }
    const portTaken = PORT_TAKEN.test(state.output);
    if (portTaken && options.port === undefined && attempt < 5) continue;
    throw new RedisStartError(
      `Redis (${source.description}) ended with ${state.signal ?? `code ${state.code}`} while it started${portTaken ? `, because port ${port} is taken` : ''}. Its last words:\n${state.output.split('\n').slice(-5).join('\n')}`,
    );
  }
}
