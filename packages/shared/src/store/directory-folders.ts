import { mkdir, open, realpath, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCode } from './directory-error.ts';
import { StoreError } from './store-error.ts';

/** The folders below a root: made durably, removed when empty, never left through a symbolic link. */
export interface Folders {
  /** Makes a folder with all above it, up to the root, which must exist. */
  ensure(folder: string): Promise<void>;
  /** @returns false if there is no such folder. @throws {StoreError} `denied` if a symbolic link leads to it. */
  exists(folder: string): Promise<boolean>;
  /** Makes what was created, renamed or deleted in a folder last. A folder that is gone is fine. */
  sync(folder: string): Promise<void>;
  /** Removes a folder and those above it that are empty, up to the root, which stays. */
  prune(folder: string): Promise<void>;
}

/** @param root the real path of a folder that exists. */
export function createFolders(root: string): Folders {
  const folders: Folders = {
    ensure: async (folder) => {
      if (await folders.exists(folder)) return;
      if (folder === root) throw rootMissing(root);
      const parent = dirname(folder);
      await folders.ensure(parent);
      await mkdir(folder).catch(unless('EEXIST'));
      await folders.sync(parent);
    },
    exists: whileItRuns(async (folder) => {
      const real = await realpath(folder).catch(unless('ENOENT', 'ENOTDIR'));
      if (real === undefined) return false;
      // Names are compared in form C because HFS+ gives them back in form D.
      if (real.normalize('NFC') !== folder.normalize('NFC'))
        throw new StoreError(
          'denied',
          `The directory store does not follow symbolic links, but ${folder} leads to ${real}. Move the files into ${root}, or let DATA_DIR itself be the link.`,
        );
      return true;
    }),
    sync: inTurns(async (folder) => {
      const handle = await open(folder, 'r').catch(unless('ENOENT'));
      try {
        await handle?.sync();
      } finally {
        await handle?.close();
      }
    }),
    prune: async (folder) => {
      for (let at = folder; at !== root && at.startsWith(root); at = dirname(at)) {
        const removed = await rmdir(at).then(
          () => true,
          (error: unknown) => systemCode(error) === 'ENOENT',
        );
        if (!removed) return;
      }
    },
  };
  return folders;
}

/** Who asks while the same is being looked up gets that answer: it could as well have changed right after it came. */
function whileItRuns<T>(look: (folder: string) => Promise<T>): (folder: string) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  return (folder) => {
    let answer = running.get(folder);
    if (answer === undefined) {
      answer = look(folder).finally(() => running.delete(folder));
      running.set(folder, answer);
    }
    return answer;
  };
}

/** Who asks while the same runs gets the next run, with all others who do: it begins after what they have done. */
function inTurns(work: (folder: string) => Promise<void>): (folder: string) => Promise<void> {
  const running = new Map<string, Promise<void>>();
  const next = new Map<string, Promise<void>>();
  const run = (folder: string) => {
    const done = work(folder).finally(() => running.delete(folder));
    running.set(folder, done);
    return done;
  };
  return (folder) => {
    const current = running.get(folder);
    if (current === undefined) return run(folder);
    let after = next.get(folder);
    if (after === undefined) {
      after = current
        .catch(() => undefined)
        .then(() => {
          next.delete(folder);
          return run(folder);
        });
      next.set(folder, after);
    }
    return after;
  };
}

/** The error for a directory store that was there and is not any more, such as that of a disk no longer mounted. */
export function rootMissing(root: string): StoreError {
  return new StoreError(
    'not_found_bucket',
    `The directory store ${root} is gone. Mount its disk or bring the folder back; a restart makes an empty one.`,
  );
}

/** For `.catch`: turns the system errors with these codes into undefined. */
export function unless(...codes: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!codes.includes(systemCode(error) ?? '')) throw error;
    return undefined;
  };
}
