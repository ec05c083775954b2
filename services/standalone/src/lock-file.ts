import { mkdir, open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identifyProcess, isRunning, type ProcessIdentity } from './process-identity.ts';

/** How often a holder touches its file: by this it is seen to live where its pid cannot be looked up. */
const HEARTBEAT_MS = 2_000;
/** A file that nobody touched for this long, while we watched, belongs to nobody. Three beats and some delay. */
const WATCH_MS = 7_000;

export interface LockFile {
  /** Gives the lock back. Calling it twice does no harm. */
  release(): Promise<void>;
}

/** Thrown when a running process holds the lock. `pid` is that process. */
export class LockHeldError extends Error {
  override readonly name = 'LockHeldError';
  readonly pid: number;
  constructor(path: string, pid: number) {
    super(`${path} is held by process ${pid}, which is running.`);
    this.pid = pid;
  }
}

async function readHolder(path: string): Promise<ProcessIdentity | undefined> {
  try {
    const holder: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof holder === 'object' && holder !== null && 'pid' in holder && 'started' in holder && 'place' in holder)
      return holder as ProcessIdentity;
  } catch {
    // Not there, or not ours to read: as good as no holder.
  }
  return undefined;
}

/** Watches a lock whose holder cannot be looked up. */
async function isTouched(path: string, watchMs: number): Promise<boolean> {
  const touchedAt = async () => (await stat(path).catch(() => undefined))?.mtimeMs;
  const before = await touchedAt();
  const end = performance.now() + watchMs;
  while (performance.now() < end) {
    await sleep(Math.min(200, watchMs));
    if ((await touchedAt()) !== before) return true;
  }
  return false;
}

/** Puts our file in the place of one that belongs to nobody; false when another process was faster. */
async function replaceStale(path: string, stale: ProcessIdentity | undefined, ours: string): Promise<boolean> {
  const breaking = `${path}.breaking`;
  const brokenAt = (await stat(breaking).catch(() => undefined))?.mtimeMs;
  // What this guards takes a millisecond, so one that is older was left by a process that died in it.
  if (brokenAt !== undefined && Date.now() - brokenAt > 10_000) await rm(breaking, { force: true });
  const guard = await open(breaking, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  if (guard === undefined) return false;
  try {
    const now = await readHolder(path);
    if (JSON.stringify(now) !== JSON.stringify(stale)) return false;
    const next = `${path}.${process.pid}`;
    await writeFile(next, ours, { mode: 0o600 });
    await rename(next, path);
    return true;
  } finally {
    await guard.close();
    await rm(breaking, { force: true });
  }
}

/**
 * Takes a lock that only one process can hold: a file with the holder's identity. A file that was left by a process
 * that died is taken over at once; where that cannot be known (another container, another machine on a shared disk),
 * after `watchMs` in which nobody touched it.
 * @throws {LockHeldError} when its holder runs; the system's error when the file cannot be made.
 */
export async function acquireLock(path: string, { watchMs = WATCH_MS } = {}): Promise<LockFile> {
  await mkdir(dirname(path), { recursive: true });
  const ours = JSON.stringify(await identifyProcess());
  for (;;) {
    try {
      await writeFile(path, ours, { flag: 'wx', mode: 0o600 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = await readHolder(path);
    const state = holder === undefined ? 'unknown' : await isRunning(holder);
    // An unreadable file may be one that is just being written, hence it is watched as well.
    if (state === 'yes' || (state === 'unknown' && (await isTouched(path, watchMs))))
      throw new LockHeldError(path, (await readHolder(path))?.pid ?? holder?.pid ?? 0);
    if (await replaceStale(path, holder, ours)) break;
    await sleep(10);
  }
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  beat.unref();
  let released: Promise<void> | undefined;
  return {
    release: () => {
      clearInterval(beat);
      released ??= readFile(path, 'utf8').then(
        (text) => (text === ours ? rm(path, { force: true }) : undefined),
        () => undefined,
      );
      return released;
    },
  };
}

/** As `acquireLock`, but waits for a running holder. @throws {LockHeldError} after `patienceMs`. */
export async function waitForLock(path: string, patienceMs: number): Promise<LockFile> {
  const end = performance.now() + patienceMs;
  for (;;) {
    try {
      return await acquireLock(path);
    } catch (error) {
      if (!(error instanceof LockHeldError) || performance.now() > end) throw error;
    }
    await sleep(50);
  }
}
