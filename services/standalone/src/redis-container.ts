import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { type GuardedProcess, startGuarded } from './guarded-process.ts';
import { REDIS_IMAGE, type RedisSource } from './redis-source.ts';

/**
 * Starts Redis in a container, in the foreground of the engine's client: what the client is sent, it passes on, so
 * the container ends as a process would. The folder, with `redis.conf` in it, is its data.
 */
export function startInContainer(options: {
  readonly source: Extract<RedisSource, { readonly kind: 'container' }>;
  readonly dir: string;
  /** Of the loopback address of this machine. */
  readonly port: number;
  readonly onLine: (line: string) => void;
}): GuardedProcess {
  const { source, dir, port, onLine } = options;
  const name = `renderyard-redis-${randomBytes(6).toString('hex')}`;
  // Its files are to be ours. Past the image's own entry point, which would take another account when it is root.
  const user = process.getuid === undefined ? [] : ['--user', `${process.getuid()}:${process.getgid?.() ?? 0}`];
  // Without root, podman gives other numbers to the accounts inside, unless it is told to keep ours.
  const keep = basename(source.engine) === 'podman' ? ['--userns', 'keep-id'] : [];
  const client = startGuarded({
    command: source.engine,
    args: [
      ...['run', '--rm', '--name', name, '--publish', `127.0.0.1:${port}:6379`, '--volume', `${dir}:/data`],
      ...user,
      ...keep,
      ...['--entrypoint', 'redis-server', REDIS_IMAGE, '/data/redis.conf'],
    ],
    env: source.env,
    onLine,
  });
  const engine = (...args: readonly string[]) =>
    new Promise<void>((resolve) => {
      execFile(source.engine, args, { env: source.env, timeout: 10_000 }, () => resolve());
    });
  return {
    ...client,
    get running() {
      return client.running;
    },
    // The client cannot pass on SIGKILL or SIGSTOP.
    kill: (signal) => {
      void engine('kill', '--signal', signal, name);
    },
    stop: async (deadlineMs) => {
      const ended = await client.stop(deadlineMs);
      await engine('rm', '--force', name);
      return ended;
    },
  };
}
