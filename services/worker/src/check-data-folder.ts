import { rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { explainDataDir, isFull, makeFolder } from '@renderyard/shared/data-dir';
import type { Logger } from '@renderyard/shared/logger';

/** Below the worker's folder: large bodies on their way, and paid images that could not be stored. */
const FOLDERS = ['.', 'spool', 'rescue'];

/**
 * Makes what a worker keeps on disk and sees whether it can write there, before it takes work: a batch could not end
 * without its checksums, and a paid image that the store does not take would be lost.
 *
 * A disk that is full is told, and keeps nobody from starting: what lies there may be the images that an earlier worker
 * kept, and goes when they are stored.
 * @param folder `worker` in `DATA_DIR`.
 * @throws {Error} with what is wrong, why, and what would be right, in one line.
 */
export async function checkDataFolder(folder: string, logger: Logger): Promise<void> {
  const path = resolve(folder);
  for (const name of FOLDERS) {
    try {
      // Open to whom the system lets in, as the API makes it; what is below is the worker's alone.
      await makeFolder(dirname(path));
      await tryToWrite(join(path, name));
    } catch (error) {
      const told = explainDataDir(dirname(path), error) ?? String(error);
      if (!isFull(error)) throw new Error(told, { cause: error });
      return logger.error(`${told} Batches cannot end until there is room.`);
    }
  }
}

async function tryToWrite(folder: string): Promise<void> {
  await makeFolder(folder, 0o700);
  // Several workers may have the same folder, and containers count their processes each by itself.
  const trial = join(folder, `${hostname()}-${process.pid}.trial`);
  try {
    // Flushed, because some file systems only look for room when they write to the disk.
    await writeFile(trial, 'x', { flush: true, mode: 0o600 });
  } finally {
    await rm(trial, { force: true }).catch(() => undefined);
  }
}
