import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { unless } from './directory-folders.ts';
import type { Root } from './directory-root.ts';
import { readSidecar, typeOfKey, versionOf } from './directory-version.ts';
import type { ObjectInfo, ObjectSummary } from './store.ts';
import { StoreError } from './store-error.ts';

/** How often an object may be replaced while it is being looked at. Each time takes a writer two waits for the disk. */
const REPLACED_ATTEMPTS = 20;
/** How many listed objects are looked up at once; Node does four such calls at a time. */
const LOOKUPS = 32;

function summaryOf(key: string, stats: BigIntStats): ObjectSummary {
  return {
    key,
    bytes: Number(stats.size),
    etag: `"${versionOf(stats)}"`,
    modifiedAt: new Date(Number(stats.mtimeNs / 1_000_000n)),
  };
}

/**
 * Looks up listed objects, some at a time: first one, then twice as many each time, so that a reader who wants few
 * does not wait for many. Those deleted meanwhile are left out.
 */
export async function* summariesOf(
  objects: AsyncIterable<{ readonly key: string; readonly path: string }>,
): AsyncGenerator<ObjectSummary> {
  let batch: { readonly key: string; readonly path: string }[] = [];
  let width = 1;
  for await (const object of objects) {
    batch.push(object);
    if (batch.length < width) continue;
    yield* await lookUp(batch);
    batch = [];
    width = Math.min(width * 2, LOOKUPS);
  }
  yield* await lookUp(batch);
}

async function lookUp(batch: readonly { readonly key: string; readonly path: string }[]): Promise<ObjectSummary[]> {
  const found = await Promise.all(
    batch.map(async ({ key, path }) => {
      const stats = await lstat(path, { bigint: true }).catch(unless('ENOENT', 'ENOTDIR'));
      return stats === undefined ? undefined : summaryOf(key, stats);
    }),
  );
  return found.filter((summary) => summary !== undefined);
}

/** Opens an object with what is known of that very version. @returns undefined where there is no such object. */
export async function openObject(
  root: Root,
  key: string,
): Promise<{ handle: FileHandle; info: ObjectInfo } | undefined> {
  const path = root.objectPath(key);
  return untilSettled(key, async () => {
    // Not through a link, and without waiting for the other end of a pipe that somebody put there.
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
      unless('ENOENT', 'ENOTDIR', 'ELOOP'),
    );
    if (handle === undefined) return undefined;
    try {
      const stats = await handle.stat({ bigint: true });
      const ours = stats.isFile() && (await root.folders.exists(dirname(path)));
      const info = ours ? await describe(root, key, path, stats) : undefined;
      if (info !== undefined && info !== 'replaced') return { handle, info };
      await handle.close();
      return info;
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
}

/** What is known of an object. @returns undefined where there is no such object. */
export async function readInfo(root: Root, key: string): Promise<ObjectInfo | undefined> {
  const path = root.objectPath(key);
  return untilSettled(key, async () => {
    const stats = await lstat(path, { bigint: true }).catch(unless('ENOENT', 'ENOTDIR'));
    if (!stats?.isFile() || !(await root.folders.exists(dirname(path)))) return undefined;
    return describe(root, key, path, stats);
  });
}

/**
 * A version without a sidecar either needs none, or was replaced just now, and its sidecar deleted: then the file at
 * the path is another one.
 */
async function describe(root: Root, key: string, path: string, stats: BigIntStats): Promise<ObjectInfo | 'replaced'> {
  const version = versionOf(stats);
  const sidecar = await readSidecar(root.sidecarPath(key, version));
  if (sidecar === undefined) {
    const now = await lstat(path, { bigint: true }).catch(unless('ENOENT', 'ENOTDIR'));
    if (now === undefined || versionOf(now) !== version) return 'replaced';
  }
  return {
    ...summaryOf(key, stats),
    contentType: sidecar?.contentType ?? typeOfKey(key),
    metadata: sidecar?.metadata ?? {},
    ...(sidecar?.cacheControl === undefined ? {} : { cacheControl: sidecar.cacheControl }),
  };
}

async function untilSettled<T>(key: string, look: () => Promise<T | 'replaced'>): Promise<T> {
  for (let attempt = 0; attempt < REPLACED_ATTEMPTS; attempt++) {
    const found = await look();
    if (found !== 'replaced') return found;
  }
  throw new StoreError('unavailable', `${key} was replaced ${REPLACED_ATTEMPTS} times while it was being read.`);
}
