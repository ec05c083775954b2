import { link, lstat, mkdir, readFile, realpath, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from './directory-error.ts';
import { createFolders, type Folders, unless } from './directory-folders.ts';
import { FORMAT_FILE, type LayoutOptions, pathOfKey, SIDECAR_FOLDER, TEMP_FOLDER } from './directory-layout.ts';
import { sweepTemp, tempName } from './directory-temp.ts';
import { readSidecar, versionOf } from './directory-version.ts';
import { StoreError } from './store-error.ts';

/** An opened directory store: its places on disk. */
export interface Root {
  readonly path: string;
  readonly folders: Folders;
  /** How names are written; see directory-layout.ts. */
  readonly layout: LayoutOptions;
  /** The file of an object. */
  objectPath(key: string): string;
  /** The file of the metadata of one version of it. */
  sidecarPath(key: string, version: string): string;
  /** A new path for a file that is being written. */
  tempPath(kind: 'object' | 'sidecar' | 'probe'): string;
  /** Whether the store is still there, and not the empty folder of a disk that is not mounted. */
  isThere(): Promise<boolean>;
}

/**
 * Opens the directory store at a path, or makes one, and sweeps what interrupted writes have left in it. A new root
 * folder is closed to other users (0700); opening it to them is one chmod, which is never undone.
 * @throws {StoreError} `unsupported` for a file system without hard links, or where names were kept apart by case only
 * on another one.
 */
export async function openRoot(given: string): Promise<Root> {
  await mkdir(given, { recursive: true, mode: 0o700 });
  const path = await realpath(given);
  const temp = join(path, TEMP_FOLDER);
  await mkdir(temp, { recursive: true });
  await mkdir(join(path, SIDECAR_FOLDER), { recursive: true });
  const layout = await agreeOnFormat(path, temp);
  const root: Root = {
    path,
    folders: createFolders(path),
    layout,
    objectPath: (key) => join(path, ...pathOfKey(key, layout)),
    sidecarPath: (key, version) => `${join(path, SIDECAR_FOLDER, ...pathOfKey(key, layout))}%${version}.json`,
    tempPath: (kind) => join(temp, tempName(kind)),
    isThere: async () => (await lstat(join(path, FORMAT_FILE)).catch(unless('ENOENT', 'ENOTDIR'))) !== undefined,
  };
  await sweepTemp(temp, (sidecar) => dropUnusedSidecar(root, sidecar));
  return root;
}

/** A write that was interrupted before its object was in place has left a sidecar of a version that never was. */
async function dropUnusedSidecar(root: Root, tempSidecar: string): Promise<void> {
  const sidecar = await readSidecar(tempSidecar).catch(() => undefined);
  if (sidecar === undefined) return;
  const stats = await lstat(root.objectPath(sidecar.key), { bigint: true }).catch(unless('ENOENT'));
  if (stats !== undefined && versionOf(stats) === sidecar.version) return;
  await unlink(root.sidecarPath(sidecar.key, sidecar.version)).catch(unless('ENOENT'));
}

/** The first to open a directory decides how names are written in it; all others, also on other systems, follow. */
async function agreeOnFormat(root: string, temp: string): Promise<LayoutOptions> {
  const probe = join(temp, tempName('probe'));
  const format = join(root, FORMAT_FILE);
  await writeFile(probe, '', { flag: 'wx' });
  const caseless = await lstat(join(temp, probe.slice(temp.length + 1).toUpperCase())).then(
    () => true,
    () => false,
  );
  await writeFile(probe, `${JSON.stringify({ format: 1, fold: caseless })}\n`, { flush: true });
  try {
    await link(probe, format).catch(unless('EEXIST'));
  } catch (error) {
    throw noHardLinks(root, error);
  } finally {
    await unlink(probe);
  }
  const agreed = JSON.parse(await readFile(format, 'utf8')) as { format: number; fold: boolean };
  if (agreed.format !== 1)
    throw new StoreError(
      'unsupported',
      `The directory store ${root} was made by a later Renderyard (${FORMAT_FILE} says format ${agreed.format}, this one knows 1).`,
    );
  if (caseless && !agreed.fold)
    throw new StoreError(
      'unsupported',
      `The directory store ${root} was made where case matters in names, but here it does not. Copy it through a bucket, or begin with another DATA_DIR.`,
    );
  return { fold: agreed.fold };
}

/** Objects are created by hard links, the only way to make a whole file appear where there was none, atomically. */
export function noHardLinks(root: string, error: unknown): unknown {
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemCode(error) ?? '')
    ? new StoreError(
        'unsupported',
        `The file system of ${root} has no hard links, which the directory store needs. Let DATA_DIR name a folder on another one.`,
        { cause: error },
      )
    : error;
}
