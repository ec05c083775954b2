import { execFile } from 'node:child_process';
import { glob, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { AptError, createApt, type PlannedPackage } from './apt.ts';
import { findOnPath } from './find-on-path.ts';
import { waitForLock } from './lock-file.ts';

type Env = Readonly<Record<string, string | undefined>>;

const run = promisify(execFile);
/** Another process may be downloading the same packages; it needs no longer than this. */
const PATIENCE_MS = 300_000;
/** With another C library than the machine's no program starts, so a plan that brings one is useless. */
const C_LIBRARY = /^(libc6|libc-bin|libc6-.*)$/;

/** Packages that lie unpacked in a folder. */
export interface UnpackedPackages {
  readonly root: string;
  /** Where their programs are. */
  readonly programs: string;
  /** Every folder with shared libraries, for `LD_LIBRARY_PATH`. */
  readonly libraries: readonly string[];
}

/** Thrown when packages cannot be had. The message says why. */
export class PackagesError extends Error {
  override readonly name = 'PackagesError';
}

export interface PackageSet {
  /** A name for the folder. */
  readonly name: string;
  readonly packages: readonly string[];
  /** Which of the packages that these depend on are needed to run them; the rest is for installing them properly. */
  readonly needs: RegExp;
}

/** Debian's name and release, and the processor: packages of one do not run on another. */
async function describeSystem(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (name: string) => new RegExp(`^${name}="?([\\w.-]+)`, 'm').exec(release)?.[1];
  return [field('ID') ?? process.platform, field('VERSION_ID') ?? field('VERSION_CODENAME') ?? 'x', process.arch].join(
    '-',
  );
}

async function describeUnpacked(folder: string): Promise<UnpackedPackages | undefined> {
  const root = join(folder, 'root');
  if ((await stat(join(folder, 'packages.txt')).catch(() => undefined)) === undefined) return undefined;
  const libraries = new Set<string>();
  for await (const file of glob('{lib,usr/lib}/**/*.so*', { cwd: root })) libraries.add(dirname(join(root, file)));
  return { root, programs: join(root, 'usr/bin'), libraries: [...libraries].sort() };
}

async function fetchPackages(options: {
  readonly set: PackageSet;
  readonly work: string;
  readonly env: Env;
  readonly signal?: AbortSignal;
}) {
  const { set, work } = options;
  let last: unknown;
  // The machine's lists cost nothing; where there are none, or what they name is gone, fresh ones take some seconds.
  for (const lists of ['machine', 'own'] as const) {
    const folder = join(work, `apt-${lists}`);
    const debs = join(work, `debs-${lists}`);
    await mkdir(debs, { recursive: true });
    const apt = await createApt({ ...options, folder, lists });
    try {
      if (lists === 'own') await apt.update();
      const planned = await apt.plan(set.packages);
      const foreign = planned.find(({ name }) => C_LIBRARY.test(name));
      if (foreign !== undefined)
        throw new AptError(
          `the packages want ${foreign.name} ${foreign.version}, which this machine does not have yet`,
        );
      const needed = planned.filter(({ name }) => set.packages.includes(name) || set.needs.test(name));
      await apt.download(needed, debs);
      return { debs, needed };
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof AptError)) throw error;
      last = error;
    }
  }
  throw new PackagesError(`Debian's packages ${set.packages.join(', ')} cannot be had: ${(last as AptError).message}.`);
}

async function unpack(folder: string, debs: string, needed: readonly PlannedPackage[], env: Env) {
  const root = join(folder, 'root');
  await mkdir(root, { recursive: true });
  for (const file of await readdir(debs))
    if (file.endsWith('.deb'))
      await run('dpkg-deb', ['-x', join(debs, file), root], { env }).catch((error: Error) => {
        throw new PackagesError(`${file} cannot be unpacked: ${error.message.trim().slice(0, 300)}.`);
      });
  await writeFile(join(folder, 'packages.txt'), needed.map(({ name, version }) => `${name} ${version}\n`).join(''));
}

/**
 * Fetches packages of Debian or Ubuntu, with the libraries that this machine lacks, and unpacks them into a folder
 * below `into`: no root, nothing installed, nothing of the machine changed. What is there already is used again
 * (`renew` fetches it anew); two processes at once do it once.
 * @throws {PackagesError} when this is not Debian, or the packages cannot be had.
 */
export async function unpackDebianPackages(options: {
  readonly set: PackageSet;
  readonly into: string;
  readonly env: Env;
  readonly renew?: boolean;
  readonly signal?: AbortSignal;
}): Promise<UnpackedPackages> {
  const { set, into, env, renew = false, signal } = options;
  const folder = join(into, await describeSystem(), set.name);
  const there = renew ? undefined : await describeUnpacked(folder);
  if (there !== undefined) return there;
  for (const tool of ['apt-get', 'dpkg-deb'])
    if ((await findOnPath([tool], env)) === undefined)
      throw new PackagesError(`${tool} is not on the PATH, so this is no Debian or Ubuntu.`);
  await mkdir(dirname(folder), { recursive: true });
  const startedAt = Date.now();
  const lock = await waitForLock(`${folder}.lock`, PATIENCE_MS);
  const work = join(dirname(folder), `${basename(folder)}.part`);
  try {
    const meanwhile = await stat(folder).catch(() => undefined);
    if (meanwhile === undefined || (renew && meanwhile.mtimeMs < startedAt)) {
      await rm(work, { recursive: true, force: true });
      const { debs, needed } = await fetchPackages({ set, work, env, ...(signal === undefined ? {} : { signal }) });
      await unpack(join(work, 'done'), debs, needed, env);
      await rm(folder, { recursive: true, force: true });
      await rename(join(work, 'done'), folder);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
    await lock.release();
  }
  const done = await describeUnpacked(folder);
  if (done === undefined) throw new PackagesError(`${folder} is incomplete. Remove it and start again.`);
  return done;
}
