import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findContainerEngine } from './container-engine.ts';
import { type PackageSet, PackagesError, unpackDebianPackages } from './debian-packages.ts';
import { findOnPath } from './find-on-path.ts';

const run = promisify(execFile);
/** The oldest Redis whose commands and append-only file are all that Renderyard uses. */
const OLDEST = 7;
const PACKAGES: PackageSet = { name: 'redis', packages: ['redis-server', 'redis-tools'], needs: /^(lib|lua)/ };
/** What runs where only a container engine is there. */
export const REDIS_IMAGE = 'redis:8-alpine';

type Env = Readonly<Record<string, string | undefined>>;

/** Where a Redis server comes from. Valkey counts as Redis throughout. */
export type RedisSource =
  | { readonly kind: 'program'; readonly description: string; readonly file: string; readonly env: Env }
  | { readonly kind: 'container'; readonly description: string; readonly engine: string; readonly env: Env };

/** Thrown when there is no Redis and none can be had. The message says what was tried and what to do. */
export class NoRedisError extends Error {
  override readonly name = 'NoRedisError';
}

/** The version of a server program, for instance `7.0.15`; undefined when it does not run. */
async function versionOf(file: string, env: Env): Promise<string | undefined> {
  try {
    const { stdout } = await run(file, ['--version'], { env, timeout: 10_000 });
    return /\bv=(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

const isRecent = (version: string | undefined): version is string =>
  version !== undefined && Number.parseInt(version, 10) >= OLDEST;

async function findInPackages(options: Parameters<typeof findRedis>[0]): Promise<RedisSource> {
  const { packagesDir, env, notice } = options;
  for (const renew of [false, true]) {
    notice?.('No Redis on the PATH: using the package of the distribution, unpacked, not installed.');
    const { programs, libraries } = await unpackDebianPackages({
      ...options,
      set: PACKAGES,
      into: packagesDir,
      renew,
    });
    const file = join(programs, 'redis-server');
    const withLibraries = { ...env, LD_LIBRARY_PATH: [...libraries, env.LD_LIBRARY_PATH].filter(Boolean).join(':') };
    const version = await versionOf(file, withLibraries);
    if (isRecent(version))
      return { kind: 'program', description: `Redis ${version} of ${packagesDir}`, file, env: withLibraries };
    if (version !== undefined)
      throw new PackagesError(`The distribution's Redis is ${version}, but ${OLDEST}.0 or newer is needed.`);
    // It was unpacked when the machine had other libraries.
  }
  throw new PackagesError(`The Redis unpacked in ${packagesDir} does not run on this machine.`);
}

/** The one line that helps on this system. */
async function installHint(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const family = [...release.matchAll(/^(?:ID|ID_LIKE)="?([^"\n]+)/gm)].map(([, ids]) => ids).join(' ');
  if (process.platform === 'darwin') return 'brew install valkey';
  if (/debian|ubuntu/.test(family)) return 'sudo apt-get install redis-server';
  if (/fedora|rhel|centos/.test(family)) return 'sudo dnf install valkey';
  if (/arch/.test(family)) return 'sudo pacman -S valkey';
  if (/alpine/.test(family)) return 'sudo apk add valkey';
  if (/suse/.test(family)) return 'sudo zypper install valkey';
  return 'docker run -p 127.0.0.1:6379:6379 redis:8-alpine, and REDIS_URL=redis://127.0.0.1:6379';
}

/**
 * Finds a Redis that can be started, in this order: `valkey-server` or `redis-server` on the PATH, the package of
 * Debian or Ubuntu unpacked below `packagesDir`, a container engine that answers.
 * @throws {NoRedisError} when there is none.
 */
export async function findRedis(options: {
  readonly packagesDir: string;
  readonly env: Env;
  /** Told what takes time. */
  readonly notice?: (text: string) => void;
  readonly signal?: AbortSignal;
}): Promise<RedisSource> {
  const { env } = options;
  const tried: string[] = [];
  for (const program of ['valkey-server', 'redis-server']) {
    const file = await findOnPath([program], env);
    if (file === undefined) continue;
    const version = await versionOf(file, env);
    if (isRecent(version)) return { kind: 'program', description: `${program} ${version} of ${file}`, file, env };
    tried.push(`${file} is ${version === undefined ? 'not a Redis that runs' : `version ${version}, too old`}`);
  }
  if (tried.length === 0) tried.push('no valkey-server or redis-server on the PATH');
  try {
    return await findInPackages(options);
  } catch (error) {
    if (!(error instanceof PackagesError)) throw error;
    tried.push(error.message.replace(/\.$/, ''));
  }
  const engine = await findContainerEngine(env);
  if (engine !== undefined) return { kind: 'container', description: `${REDIS_IMAGE} by ${engine}`, engine, env };
  tried.push('no container engine answers');
  throw new NoRedisError(
    `Renderyard needs Redis ${OLDEST}.0 or newer (or Valkey), and there is none: ${tried.join('; ')}.\n` +
      `Run this once: ${await installHint()}\nOr set REDIS_URL to a Redis that you have.`,
  );
}
