import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = /^renderyard-test-(\d+)-/;
/** In a folder that other machines or containers share, pids say nothing; what is this old is left over for certain. */
const YOUNG_MS = 3_600_000;

/** An empty folder, named after our pid, so that it can be told later whose it was. Whoever makes it removes it. */
export function makeTemporaryFolder(what: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `renderyard-test-${process.pid}-${what}-`));
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Removes the folders that runs which were killed could not remove. */
export async function sweepTemporaryFolders(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || runs(Number(pid))) continue;
    const folder = join(tmpdir(), name);
    const changedAt = (await stat(folder).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - changedAt > YOUNG_MS) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}
