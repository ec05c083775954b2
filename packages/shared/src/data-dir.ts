import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'the system does not let this user write there',
  EROFS: 'it lies on a file system that can only be read',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file, not a folder',
  ENOENT: 'the system lets nobody make a folder there',
  ENOSPC: 'its disk is full',
  EDQUOT: 'this user may keep no more on its disk',
};
/** Errors of a write name no file. Nothing else that we write can fill a disk. */
const NAMELESS = new Set(['ENOSPC', 'EDQUOT', 'EROFS']);

const isBelow = (path: string, folder: string) => `${path}/`.startsWith(`${folder}/`);

/** Whether a disk has no more room, for anybody or for this user. */
export function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/**
 * Says in one line what a person can do about a file of the data directory that could not be made or written.
 * @returns undefined for an error about anything else.
 */
export function explainDataDir(dataDir: string, error: unknown): string | undefined {
  const { code, path } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  if (code === undefined) return undefined;
  const concerns = path === undefined ? NAMELESS.has(code) : isBelow(path, dataDir) || isBelow(dataDir, path);
  if (!concerns) return undefined;
  const reason = REASONS[code] ?? 'the system refuses it';
  const advice = isFull(error)
    ? 'Make room, or set DATA_DIR to a folder on another disk.'
    : 'Set DATA_DIR to a folder that this user may write to.';
  return `Renderyard cannot keep its data in ${dataDir} (DATA_DIR): ${reason} (${code}${path === undefined || path === dataDir ? '' : `, ${path}`}). ${advice}`;
}

/** As `mkdir` with `recursive`, which in Node 24 never ends where the system refuses a folder with ENOENT, as in /proc. */
export async function makeFolder(path: string, mode = 0o777): Promise<void> {
  const make = async () => {
    try {
      await mkdir(path, { mode });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const there = await stat(path).catch(() => undefined);
      if (there?.isDirectory() !== true) throw error;
    }
  };
  try {
    await make();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path), mode);
    await make();
  }
}
