import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identifyProcess, isRunning, type ProcessIdentity } from './process-identity.ts';

/** The Redis of a launcher that was killed needs this long at most: its guard kills it then. */
const PREDECESSOR_MS = 15_000;

/** Thrown when a Redis of an earlier start does not end. The message says which. */
export class PredecessorError extends Error {
  override readonly name = 'PredecessorError';
}

const recordIn = (dir: string) => join(dir, 'process.json');

/** Notes which process is the Redis of this folder. A note is there whole or not at all, also after a power failure. */
export async function recordProcess(dir: string, pid: number): Promise<void> {
  const next = `${recordIn(dir)}.tmp`;
  await writeFile(next, JSON.stringify(await identifyProcess(pid)), { flush: true });
  await rename(next, recordIn(dir));
}

function parse(text: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null;
    const { pid, started, place } = value ?? {};
    return Number.isSafeInteger(pid) && Number(pid) > 0 && typeof started === 'string' && typeof place === 'string'
      ? (value as ProcessIdentity)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Waits for the Redis of a launcher that was killed: two on the same files would destroy them.
 * A record that cannot be read was left by a launcher that ended, or a machine that stopped, while it was written; so
 * its Redis is gone 15 s after that.
 * @throws {PredecessorError} when it still runs after 15 s.
 */
export async function awaitPredecessor(dir: string): Promise<void> {
  const file = recordIn(dir);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (text === undefined) return;
  const predecessor = parse(text);
  if (predecessor === undefined) {
    const { mtimeMs } = await stat(file);
    await sleep(Math.max(0, Math.min(mtimeMs + PREDECESSOR_MS - Date.now(), PREDECESSOR_MS)));
    return;
  }
  const end = performance.now() + PREDECESSOR_MS;
  while ((await isRunning(predecessor)) === 'yes') {
    if (performance.now() > end)
      throw new PredecessorError(`Redis of an earlier start (process ${predecessor.pid}) still runs. Stop it first.`);
    await sleep(50);
  }
}
