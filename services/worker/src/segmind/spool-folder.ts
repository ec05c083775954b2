import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** A process's own folder for large bodies on their way. */
export interface SpoolFolder {
  readonly path: string;
  /** Removes it; nothing may be on its way any more. */
  remove(): Promise<void>;
}

/**
 * Makes a folder named after this process, and removes those of this machine's processes that are gone: what a killed
 * worker left there was never verified, and its call is counted as uncertain. Containers may share the parent, and each
 * counts its processes by itself: so a name has the host's before the process's.
 */
export async function openSpoolFolder(
  parent: string,
  { host, pid }: { readonly host: string; readonly pid: number },
): Promise<SpoolFolder> {
  for (const name of await readdir(parent).catch(() => [])) {
    const [, ofHost, ofPid] = /^(.+)-(\d+)$/.exec(name) ?? [];
    if (ofHost === host && (Number(ofPid) === pid || !isAlive(Number(ofPid))))
      await rm(join(parent, name), { recursive: true, force: true });
  }
  const path = join(parent, `${host}-${pid}`);
  await mkdir(path, { recursive: true, mode: 0o700 });
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
