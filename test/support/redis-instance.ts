import { rm } from 'node:fs/promises';
import type { Ended } from '@renderyard/standalone/guarded-process';
import { type RedisServer, startRedis } from '@renderyard/standalone/redis-server';
import { PACKAGES } from './cache-folder.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

/** A Redis that is a test's own: it may be killed, frozen and emptied. */
export interface RedisInstance extends AsyncDisposable {
  /** The same after a restart. */
  readonly url: string;
  readonly port: number;
  /** Of the server that runs now. */
  readonly pid: number;
  readonly exited: Promise<Ended>;
  /** Sends a signal: `SIGKILL` is a crash, `SIGSTOP` and `SIGCONT` freeze and thaw it. */
  kill(signal: NodeJS.Signals): void;
  /** Stops it in order, if it still runs; its data stay for `restart`. */
  stop(): Promise<void>;
  /** Starts it again on the same port, with the same password and data. It must have been stopped or killed. */
  restart(): Promise<void>;
}

/**
 * Starts a Redis for one test, with its data in a folder of its own that goes with it. Use it with `await using`.
 * @param persistence `none` (the default): a restart finds nothing. `aof`: as Renderyard itself runs it.
 */
export async function startRedisInstance({
  persistence = 'none',
}: {
  persistence?: 'aof' | 'none';
} = {}): Promise<RedisInstance> {
  const dataDir = await makeTemporaryFolder('redis');
  const start = (more: { port?: number; password?: string } = {}) =>
    startRedis({ dataDir, persistence, env: process.env, packagesDir: PACKAGES, ...more });
  const first = await start();
  let server: RedisServer = first;
  return {
    url: first.url,
    port: first.port,
    get pid() {
      return server.pid;
    },
    get exited() {
      return server.exited;
    },
    kill: (signal) => server.kill(signal),
    stop: () => server.stop(),
    restart: async () => {
      await server.exited;
      server = await start({ port: first.port, password: first.password });
    },
    [Symbol.asyncDispose]: async () => {
      // One that is frozen would not notice that it is to stop.
      server.kill('SIGCONT');
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
