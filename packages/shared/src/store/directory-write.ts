import { type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from './directory-error.ts';
import { unless } from './directory-folders.ts';
import type { Root } from './directory-root.ts';
import { type Sidecar, typeOfKey, versionOf, versionTime } from './directory-version.ts';
import type { ObjectBody, PutOptions } from './store.ts';
import { StoreError } from './store-error.ts';

/** How often a folder that another process removes as empty, just when a file is put into it, is made again. */
const FOLDER_ATTEMPTS = 10;

/**
 * Writes one object: the body and what is known of it to the temporary folder, then the sidecar in its place, then the
 * object in its own, which is the moment at which both are there.
 * @throws {StoreError} `invalid` for a file that cannot be read or has another length; otherwise system errors.
 */
export async function createObject(
  root: Root,
  key: string,
  body: ObjectBody,
  options: Omit<PutOptions, 'signal'>,
  signal: AbortSignal | undefined,
): Promise<'stored' | 'exists'> {
  const path = root.objectPath(key);
  const ifAbsent = options.ifAbsent ?? false;
  // Only to save the work of a large body: what decides is whether the file can be linked.
  if (ifAbsent && !(body instanceof Uint8Array) && (await lstat(path).catch(unless('ENOENT'))) !== undefined)
    return 'exists';
  const temp = root.tempPath('object');
  const tempSidecar = root.tempPath('sidecar');
  let sidecarPath: string | undefined;
  let placed = false;
  try {
    let version = await writeTemp(temp, body, signal);
    // Two writes of one moment and one length would share a version, and so a sidecar.
    while (!(await claimVersion(root, tempSidecar, key, version, options))) version = await restamp(temp);
    if (needsSidecar(key, options)) sidecarPath = root.sidecarPath(key, version);
    signal?.throwIfAborted();
    const result = await place(root, temp, path, ifAbsent);
    placed = result.placed;
    if (result.replaced !== undefined && result.replaced !== version)
      await unlink(root.sidecarPath(key, result.replaced)).catch(unless('ENOENT', 'ENOTDIR'));
    return placed ? 'stored' : 'exists';
  } finally {
    if (!placed && sidecarPath !== undefined) await unlink(sidecarPath).catch(unless('ENOENT'));
    // A file that was renamed into its place is not looked for: each error of the system costs as much as a call.
    if (!placed || ifAbsent) await unlink(temp).catch(unless('ENOENT'));
    if (needsSidecar(key, options)) await unlink(tempSidecar).catch(unless('ENOENT'));
  }
}

/** @returns false if another write of the object has this version already. */
async function claimVersion(
  root: Root,
  temp: string,
  key: string,
  version: string,
  options: Omit<PutOptions, 'signal'>,
): Promise<boolean> {
  if (!needsSidecar(key, options)) {
    const path = root.sidecarPath(key, version);
    return (await lstat(path).catch(unless('ENOENT', 'ENOTDIR'))) === undefined;
  }
  const { contentType, cacheControl, metadata = {} } = options;
  const known = { contentType, metadata, ...(cacheControl === undefined ? {} : { cacheControl }) };
  return writeSidecar(root, temp, { key, version, ...known });
}

function needsSidecar(key: string, { contentType, cacheControl, metadata = {} }: Omit<PutOptions, 'signal'>): boolean {
  return contentType !== typeOfKey(key) || cacheControl !== undefined || Object.keys(metadata).length > 0;
}

/** Writes a body to a new file and makes it last. @returns its version. */
async function writeTemp(path: string, body: ObjectBody, signal: AbortSignal | undefined): Promise<string> {
  const handle = await open(path, 'wx');
  try {
    if (body instanceof Uint8Array) await handle.writeFile(body, signal ? { signal } : {});
    else await copyInto(handle, body, signal);
    return await stamp(handle);
  } finally {
    await handle.close();
  }
}

/** Gives a written file another version. */
async function restamp(path: string): Promise<string> {
  const handle = await open(path, 'r+');
  try {
    return await stamp(handle);
  } finally {
    await handle.close();
  }
}

async function stamp(handle: FileHandle): Promise<string> {
  const now = versionTime(Date.now());
  await handle.utimes(now, now);
  await handle.sync();
  return versionOf(await handle.stat({ bigint: true }));
}

async function copyInto(handle: FileHandle, body: { path: string; bytes: number }, signal: AbortSignal | undefined) {
  const source = await open(body.path, 'r').catch((cause: unknown) => {
    throw new StoreError('invalid', `The file ${body.path} cannot be read, so it cannot be stored.`, { cause });
  });
  try {
    await handle.writeFile(source.createReadStream({ autoClose: false }), signal ? { signal } : {});
  } finally {
    await source.close();
  }
  const { size } = await handle.stat();
  if (size !== body.bytes)
    throw new StoreError(
      'invalid',
      `The file ${body.path} has ${size} bytes, not the ${body.bytes} it was said to have.`,
    );
}

/**
 * Writes the sidecar of a version, first as a temporary file that tells the next start what to tidy up, then in its
 * place, which readers look at only once the object is that version.
 * @returns false if another write of the same object has this version already.
 */
async function writeSidecar(root: Root, temp: string, sidecar: Sidecar): Promise<boolean> {
  const handle = await open(temp, 'w');
  try {
    await handle.writeFile(JSON.stringify(sidecar));
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await placeIn(root, root.sidecarPath(sidecar.key, sidecar.version), (path) => link(temp, path));
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Puts a written file in its place, atomically: over what is there, or with `ifAbsent` only where nothing is.
 * @returns whether it is there, and which version it replaced.
 */
async function place(
  root: Root,
  temp: string,
  path: string,
  ifAbsent: boolean,
): Promise<{ placed: boolean; replaced?: string }> {
  if (ifAbsent) {
    try {
      await placeIn(root, path, (target) => link(temp, target));
      return { placed: true };
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return { placed: false };
      throw error;
    }
  }
  const before = await lstat(path, { bigint: true }).catch(unless('ENOENT'));
  await placeIn(root, path, (target) => rename(temp, target));
  return before === undefined ? { placed: true } : { placed: true, replaced: versionOf(before) };
}

async function placeIn(root: Root, path: string, move: (path: string) => Promise<void>): Promise<void> {
  const folder = dirname(path);
  for (let attempt = 1; ; attempt++) {
    await root.folders.ensure(folder);
    try {
      await move(path);
      break;
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || attempt === FOLDER_ATTEMPTS) throw error;
    }
  }
  await root.folders.sync(folder);
}
