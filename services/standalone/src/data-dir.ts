import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '@renderyard/shared/data-dir';

/** With less than this free nothing can begin: the first files of Redis alone take some of it. */
const ROOM_BYTES = 1024 ** 2;

/**
 * Makes the data directory and sees whether something can be kept in it, before anything relies on it.
 * @param dataDir an absolute path.
 * @throws the system's error, which `explainDataDir` puts into words.
 */
export async function prepareDataDir(dataDir: string): Promise<void> {
  await makeFolder(dataDir);
  const trial = join(dataDir, 'room.tmp');
  try {
    // Flushed, because some file systems only look for room when they write to the disk.
    await writeFile(trial, Buffer.alloc(ROOM_BYTES), { flush: true, mode: 0o600 });
  } finally {
    await rm(trial, { force: true }).catch(() => undefined);
  }
}
