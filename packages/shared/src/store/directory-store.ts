import { constants } from 'node:fs';
import { lstat, open, readFile, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { type Clock, systemClock } from '../clock.ts';
import { createApiLink } from './api-link.ts';
import { systemCode, toDirectoryError } from './directory-error.ts';
import { rootMissing, unless } from './directory-folders.ts';
import { listKeys } from './directory-listing.ts';
import { openObject, readInfo, summariesOf } from './directory-read.ts';
import { openRoot, type Root } from './directory-root.ts';
import { versionOf } from './directory-version.ts';
import { createObject } from './directory-write.ts';
import { assertHeaders, encodeMetadata } from './object-headers.ts';
import { assertKey, assertPrefix } from './object-key.ts';
import { resolveRange } from './object-range.ts';
import type { ListOptions, Store } from './store.ts';
import { withAttempts } from './with-attempts.ts';

export interface DirectoryStoreOptions {
  /** The folder; it is made when it is first used. Symbolic links below it are not followed. */
  readonly directory: string;
  /** Base of the links, where the API serves `/store/…`; without a "/" at its end. */
  readonly publicUrl: string;
  /** Signs the links: 16 bytes or more that nobody else knows, the same in every process. */
  readonly signingKey: Uint8Array;
  readonly clock?: Clock;
}

/**
 * A store in a folder on disk, for one machine: any number of processes may share it. Objects are plain files under
 * their own names (directory-layout.ts), metadata is beside them in `.meta`, and every write is on the disk when `put`
 * resolves. Its links are served by the API.
 */
export function createDirectoryStore(options: DirectoryStoreOptions): Store {
  const { directory, publicUrl, signingKey, clock = systemClock } = options;
  let opening: Promise<Root> | undefined;

  const rooted = async (): Promise<Root> => {
    opening ??= openRoot(directory);
    try {
      return await opening;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  };

  const attempt = <T>(action: string, signal: AbortSignal | undefined, call: (root: Root) => Promise<T>): Promise<T> =>
    withAttempts(signal, async () => {
      try {
        return await call(await rooted());
      } catch (error) {
        signal?.throwIfAborted();
        throw toDirectoryError(error, action);
      }
    });

  /** Nothing found is an answer only where the store is still there. */
  const missing = async (root: Root): Promise<undefined> => {
    if (!(await root.isThere())) throw rootMissing(root.path);
    return undefined;
  };

  const put: Store['put'] = async (key, body, { signal, ...options }) => {
    assertKey(key);
    assertHeaders(options);
    encodeMetadata(options.metadata ?? {});
    return attempt(`Storing ${key}`, signal, async (root) => {
      try {
        return await createObject(root, key, body, options, signal);
      } catch (error) {
        // Without its disk the store has no folder for what is being written.
        if (systemCode(error) === 'ENOENT') await missing(root);
        throw error;
      }
    });
  };

  const get: Store['get'] = async (key, { range, signal } = {}) => {
    assertKey(key);
    return attempt(`Reading ${key}`, signal, async (root) => {
      const opened = await openObject(root, key);
      if (opened === undefined) return missing(root);
      const { handle, info } = opened;
      try {
        const part = range === undefined ? undefined : resolveRange(range, info.bytes);
        const span = part ?? (info.bytes === 0 ? {} : { start: 0, end: info.bytes - 1 });
        const body = handle.createReadStream(span);
        if (signal) addAbortSignal(signal, body);
        return part === undefined ? { info, body } : { info, body, range: part };
      } catch (error) {
        await handle.close();
        throw error;
      }
    });
  };

  const head: Store['head'] = async (key, { signal } = {}) => {
    assertKey(key);
    return attempt(`Looking up ${key}`, signal, async (root) => (await readInfo(root, key)) ?? missing(root));
  };

  async function* list(prefix: string, { after, limit = Number.POSITIVE_INFINITY, signal }: ListOptions = {}) {
    assertPrefix(prefix);
    if (!(limit > 0)) return;
    const root = await attempt(`Listing ${prefix}`, signal, async (opened) => {
      if (!(await opened.isThere())) throw rootMissing(opened.path);
      return opened;
    });
    let left = limit;
    try {
      for await (const summary of summariesOf(listKeys(root, { prefix, after }))) {
        signal?.throwIfAborted();
        yield summary;
        if (--left <= 0) return;
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw toDirectoryError(error, `Listing ${prefix}`);
    }
  }

  const deleteAll: Store['delete'] = async (keys, { signal } = {}) => {
    for (const key of keys) assertKey(key);
    await attempt(`Deleting ${keys.length} objects`, signal, async (root) => {
      const folders = new Set<string>();
      for (const key of keys) {
        signal?.throwIfAborted();
        const path = root.objectPath(key);
        if (!(await root.folders.exists(dirname(path)))) continue;
        const stats = await lstat(path, { bigint: true }).catch(unless('ENOENT'));
        if (stats === undefined) continue;
        await unlink(path).catch(unless('ENOENT'));
        const sidecar = root.sidecarPath(key, versionOf(stats));
        await unlink(sidecar).catch(unless('ENOENT', 'ENOTDIR'));
        folders.add(dirname(path)).add(dirname(sidecar));
      }
      for (const folder of folders) await root.folders.sync(folder);
      for (const folder of folders) await root.folders.prune(folder);
      await missing(root);
    });
  };

  const check: Store['check'] = (signal) =>
    attempt('Checking the directory store', signal, async (root) => {
      await missing(root);
      const probe = root.tempPath('probe');
      try {
        const handle = await open(probe, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY);
        try {
          await handle.writeFile('probe');
          await handle.sync();
        } finally {
          await handle.close();
        }
        await readFile(probe);
      } finally {
        await unlink(probe).catch(unless('ENOENT'));
      }
    });

  return {
    kind: 'directory',
    put,
    get,
    head,
    list,
    delete: deleteAll,
    link: createApiLink({ publicUrl, signingKey, clock }),
    check,
    close: async () => {},
  };
}
