import { createHash, randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { lstat, readdir, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemCode } from './directory-error.ts';
import { unless } from './directory-folders.ts';

/** A write that has not grown for an hour is over, whoever began it. */
const OLD_MS = 3_600_000;

/** Process ids mean something only on one machine and in one container: both are told apart here. */
const OWNER = createHash('sha256').update(hostname()).update(pidNamespace()).digest('hex').slice(0, 12);
/** A container's process often has the id of the one that died before it. */
const START = randomBytes(4).toString('hex');
let count = 0;

/** A name that no other process has, and that tells who made it: `owner.pid.start.number.kind`. */
export function tempName(kind: 'object' | 'sidecar' | 'probe'): string {
  return `${OWNER}.${process.pid}.${START}.${++count}.${kind}`;
}

/**
 * Deletes what interrupted writes have left: files of processes that are dead, where that can be known, and files
 * that have not changed for an hour.
 * @param beforeSidecar is called with the path of each sidecar before it is deleted.
 */
export async function sweepTemp(folder: string, beforeSidecar: (path: string) => Promise<void>): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const [owner, pid, start, , kind] = name.split('.');
    if (owner === OWNER && start === START) continue;
    const dead = owner === OWNER && (Number(pid) === process.pid || !isAlive(Number(pid)));
    const info = await lstat(path).catch(unless('ENOENT'));
    if (info === undefined || !info.isFile() || !(dead || Date.now() - info.mtimeMs > OLD_MS)) continue;
    if (kind === 'sidecar') await beforeSidecar(path);
    await unlink(path).catch(unless('ENOENT'));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
