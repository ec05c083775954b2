import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '@renderyard/shared/logger';
import { openDirectory } from '@renderyard/shared/store/open-directory';
import { readStoreVersion, writeStoreVersion } from '@renderyard/shared/upgrade/store-version';
import { createKeptImages } from '@renderyard/worker/render/kept-images';
import { expect, onTestFinished, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

async function open() {
  const folder = await makeTemporaryFolder('kept');
  const store = openDirectory({
    ...{ DATA_DIR: join(folder, 'data'), publicUrl: 'http://127.0.0.1', signingKey: randomBytes(32) },
  });
  onTestFinished(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const logs: { readonly msg: string }[] = [];
  const logger = createLogger({
    service: 'worker',
    level: 'info',
    destination: { write: (line: string) => void logs.push(JSON.parse(line)) },
  });
  const stored: unknown[] = [];
  const stopping = new AbortController();
  const storeKept = async (into: unknown) => stored.push(into);
  const through = (of: typeof store) =>
    createKeptImages({ rescue: { storeKept }, store: of, logger, stopping: stopping.signal });
  return { store, logs, stored, stopping, through, kept: through(store) };
}

/** Of a roster that knows of this store. */
const knowing = (store: string | undefined) => ({
  hasNoOtherStoreThan: (id: string | undefined) => store === undefined || store === id,
});

test('kept images are stored before the rest is known, but not in a store that is another than the one that is known', async () => {
  const { store, stored, kept } = await open();
  await kept.storeIfOurs(knowing('another'));
  expect(stored).toEqual([]);
  await kept.storeIfOurs(knowing(undefined));
  expect(stored).toEqual([store]);
  const { id } = await writeStoreVersion(store, undefined, { state_version: 1 }, new AbortController().signal);
  expect((await readStoreVersion(store))?.id).toBe(id);
  await kept.storeIfOurs(knowing('another'));
  expect(stored).toEqual([store]);
  await kept.storeIfOurs(knowing(id));
  expect(stored).toEqual([store, store]);
});

test('a store that is away keeps no worker from its start, and is told of; one that never answers keeps none from stopping', async () => {
  const { store, logs, stopping, through } = await open();
  const away = through({ ...store, get: () => Promise.reject(new Error('away')) });
  await away.storeIfOurs(knowing(undefined));
  expect(logs.map(({ msg }) => msg)).toEqual(['paid images that an earlier process kept on disk cannot be stored yet']);
  const silent = through({ ...store, get: () => new Promise(() => undefined) }).storeIfOurs(knowing(undefined));
  stopping.abort();
  await silent;
  expect(logs).toHaveLength(1);
});
