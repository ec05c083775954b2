import { access, appendFile, chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PackageSet, PackagesError, unpackDebianPackages } from '@renderyard/standalone/debian-packages';
import { test as base, expect } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

/**
 * Stands for apt-get: knows `plan.txt`, what a simulated installation says, and `fresh`, which `update` makes and
 * without which, when `stale` is there, nothing can be downloaded. It keeps a journal of what it was asked.
 */
const APT = `
here=$(dirname "$0")
case " $* " in
*" update "*) echo update >> "$here/journal"; touch "$here/fresh" ;;
*" install "*) cat "$here/plan.txt" ;;
*" download "*)
  if [ -e "$here/stale" ] && ! [ -e "$here/fresh" ]; then echo "E: Failed to fetch it  404  Not Found" >&2; exit 100; fi
  for package; do case $package in *=*) echo "download $package" >> "$here/journal"; : > "$PWD/$package.deb" ;; esac; done ;;
esac`;
const DPKG = 'mkdir -p "$3/usr/bin" "$3/usr/lib/some-linux-gnu"; : > "$3/usr/lib/some-linux-gnu/liba.so.1"';
const PLAN = `Inst liba1 (1.0-1 Debian:12.1/stable [amd64])
Inst adduser (3.1 Debian:12.1/stable [all])
Inst server [2.0] (2.1-1 Debian:12.1/stable [amd64]) []
Conf liba1 (1.0-1 Debian:12.1/stable [amd64])
`;
const set: PackageSet = { name: 'server', packages: ['server'], needs: /^lib/ };

interface Machine {
  readonly folder: string;
  readonly into: string;
  unpack(renew?: boolean): ReturnType<typeof unpackDebianPackages>;
  write(name: string, text: string): Promise<void>;
  journal(): Promise<readonly string[]>;
  /** What lies beside the unpacked packages, which should be nothing. */
  litter(): Promise<readonly string[]>;
}

const test = base.extend<{ machine: Machine }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of what a fixture uses from the pattern
  machine: async ({}, use) => {
    const folder = await makeTemporaryFolder('apt');
    const into = join(folder, 'packages');
    const write = (name: string, text: string) => writeFile(join(folder, name), text);
    for (const [name, script] of [
      ['apt-get', APT],
      ['dpkg-deb', DPKG],
    ] as const) {
      await write(name, `#!/bin/sh\n${script}\n`);
      await chmod(join(folder, name), 0o755);
    }
    await write('plan.txt', PLAN);
    await use({
      folder,
      into,
      write,
      unpack: (renew = false) =>
        unpackDebianPackages({ set, into, env: { PATH: `${folder}:${process.env.PATH}` }, renew }),
      journal: async () => (await readFile(join(folder, 'journal'), 'utf8').catch(() => '')).trim().split('\n'),
      litter: async () => {
        const [system = ''] = await readdir(into);
        return (await readdir(join(into, system))).filter((name) => name !== 'server');
      },
    });
    await rm(folder, { recursive: true, force: true });
  },
});

test('only what is needed to run is fetched, in the version that apt plans, and nothing is left lying about', async ({
  machine,
}) => {
  const { programs, libraries, root } = await machine.unpack();
  expect(await machine.journal()).toEqual(['download liba1=1.0-1', 'download server=2.1-1']);
  expect(libraries).toEqual([join(root, 'usr/lib/some-linux-gnu')]);
  await access(programs);
  expect(await machine.litter()).toEqual([]);
});

test('what is there is used again, until it is to be renewed', async ({ machine }) => {
  await machine.unpack();
  await machine.unpack();
  expect(await machine.journal()).toHaveLength(2);
  await machine.unpack(true);
  expect(await machine.journal()).toHaveLength(4);
});

test('several at once fetch it once', async ({ machine }) => {
  const all = await Promise.all(Array.from({ length: 5 }, () => machine.unpack()));
  expect(new Set(all.map(({ root }) => root)).size).toBe(1);
  expect(await machine.journal()).toHaveLength(2);
  expect(await machine.litter()).toEqual([]);
});

test('lists that are out of date are fetched anew, into a folder of our own', async ({ machine }) => {
  await machine.write('stale', '');
  await machine.unpack();
  expect(await machine.journal()).toEqual(['update', 'download liba1=1.0-1', 'download server=2.1-1']);
});

test('what an earlier try left half done is not taken for the whole', async ({ machine }) => {
  await machine.unpack();
  const [system = ''] = await readdir(machine.into);
  const unpacked = join(machine.into, system, 'server');
  await rm(unpacked, { recursive: true });
  await mkdir(join(machine.into, system, 'server.part/done/root'), { recursive: true });
  await appendFile(join(machine.into, system, 'server.part/done/packages.txt'), 'server 0.1\n');
  await machine.unpack();
  expect(await readFile(join(unpacked, 'packages.txt'), 'utf8')).toBe('liba1 1.0-1\nserver 2.1-1\n');
  expect(await machine.litter()).toEqual([]);
});

test('a plan that brings another C library is refused, because nothing would start with it', async ({ machine }) => {
  await machine.write('plan.txt', `Inst libc6 [2.36-9] (2.41-1 Debian:13/stable [amd64])\n${PLAN}`);
  const failed = machine.unpack();
  await expect(failed).rejects.toBeInstanceOf(PackagesError);
  await expect(failed).rejects.toThrow('the packages want libc6 2.41-1, which this machine does not have yet');
  expect(await machine.litter()).toEqual([]);
});

test('a package that cannot be unpacked is named, and nothing is left of it', async ({ machine }) => {
  await machine.write('dpkg-deb', '#!/bin/sh\necho "unexpected end of file" >&2; exit 2\n');
  const failed = machine.unpack();
  await expect(failed).rejects.toBeInstanceOf(PackagesError);
  await expect(failed).rejects.toThrow(/liba1=1\.0-1\.deb cannot be unpacked: [\s\S]*unexpected end of file/);
  expect(await machine.litter()).toEqual([]);
});
