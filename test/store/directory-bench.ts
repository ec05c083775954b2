import { mkdtemp, readdir, readlink, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeObjects } from '@renderyard/api/routes/store-objects';
import { systemClock } from '@renderyard/shared/clock';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import type { Store } from '@renderyard/shared/store/store';
import Fastify from 'fastify';
import { vi } from 'vitest';
import type { Bench } from './bench.ts';

export interface DirectoryBench extends Bench {
  /** The folder of the store. */
  readonly directory: string;
  /** Where its links are served. */
  readonly origin: string;
  /** Another store on the same folder, as another process has it. */
  again(): Store;
}

/** Signs the links of every store here. */
export const SIGNING_KEY = Buffer.from('a key of the tests, 32 bytes long');
const PUBLIC_URL = 'http://renderyard.test';

/** Its end fails if a file of the store is still open. */
export async function openDirectoryBench(): Promise<DirectoryBench> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'renderyard-store-')));
  const again = () => createDirectoryStore({ directory, publicUrl: PUBLIC_URL, signingKey: SIGNING_KEY });
  const store = again();
  const app = Fastify({ forceCloseConnections: true });
  await app.register(storeObjects, { store, signingKey: SIGNING_KEY, clock: systemClock });
  // biome-ignore lint/nursery/useAwaitThenable: without a callback it does return a promise
  const origin = await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    store,
    directory,
    origin,
    again,
    follow: (link, init) => fetch(link.replace(PUBLIC_URL, origin), init),
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await store.close();
      try {
        await untilClosed(directory);
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

/** Resolves when this process has no file below the folder open. */
export async function untilClosed(directory: string): Promise<void> {
  await vi.waitFor(async () => {
    const open = await openFiles(directory);
    if (open.length > 0) throw new Error(`These files are still open: ${open.join(', ')}`);
  });
}

/** The files below a folder that this process has open. Known on Linux only; elsewhere there are none. */
export async function openFiles(directory: string): Promise<string[]> {
  const handles = await readdir('/proc/self/fd').catch(() => []);
  const targets = await Promise.all(handles.map((handle) => readlink(`/proc/self/fd/${handle}`).catch(() => '')));
  return targets.filter((target) => target.startsWith(directory));
}
