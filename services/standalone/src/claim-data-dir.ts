import { join } from 'node:path';
import { acquireLock, type LockFile, LockHeldError } from './lock-file.ts';

/** Thrown when the data directory is in use. The message says by whom, and what to do. */
export class DataDirInUseError extends Error {
  override readonly name = 'DataDirInUseError';
}

/** Makes sure that we alone use the data directory. @throws {DataDirInUseError} when another process does. */
export async function claimDataDir(dataDir: string): Promise<LockFile> {
  const file = join(dataDir, 'lock');
  try {
    return await acquireLock(file);
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw error;
    throw new DataDirInUseError(
      `Renderyard already runs with the data in ${dataDir} (process ${error.pid}). Stop that one first, or set DATA_DIR to another folder.`,
    );
  }
}
