import { randomBytes } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Job } from '@renderyard/shared/job/job';
import { createLogger } from '@renderyard/shared/logger';
import { openDirectory } from '@renderyard/shared/store/open-directory';
import type { Store } from '@renderyard/shared/store/store';
import { createRescue } from '@renderyard/worker/render/rescue';
import { expect, onTestFinished, test } from 'vitest';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const JOB = { id: 'job_1', imageKey: 'jobs/job_1', input: { seed: 7 } } as unknown as Job;
const FACTS = {
  status: 200,
  cost: undefined,
  remaining: undefined,
  requestId: undefined,
  seed: 7,
  generationSeconds: undefined,
};

/** Two workers with one folder, in which an image is kept, and a store. */
async function share() {
  const folder = await makeTemporaryFolder('rescue');
  const store = openDirectory({ DATA_DIR: folder, publicUrl: 'http://127.0.0.1', signingKey: randomBytes(32) });
  onTestFinished(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const logger = createLogger({ service: 'worker', level: 'silent' });
  const kept = join(folder, 'rescue');
  const [one, other] = [createRescue({ folder: kept, logger }), createRescue({ folder: kept, logger })];
  const body = randomBytes(1000);
  const image = {
    body,
    bytes: 1000,
    sha256: 'ab',
    contentType: 'image/png',
    extension: 'png',
    width: 1,
    height: 1,
    discard: async () => {},
  };
  await one.keep(JOB, 'call_1', image, FACTS);
  const stored = async () => {
    const object = await store.get('jobs/job_1.png');
    return object && Buffer.concat((await object.body.toArray()) as Buffer[]);
  };
  return { store, one, other, kept, body, image, stored };
}

const beforePut = (store: Store, first: () => Promise<unknown>): Store => ({
  ...store,
  put: async (...of) => {
    await first();
    return store.put(...of);
  },
});

test('a kept image is stored once, though two workers find it at the same time', async () => {
  const { store, one, other, kept, body, stored } = await share();
  await Promise.all([one.storeKept(store), other.storeKept(store)]);
  expect(await stored()).toEqual(body);
  expect(await readdir(kept)).toEqual([]);
});

test('a kept image that another worker stores and removes meanwhile is no error', async () => {
  const { store, one, other, kept, body, stored } = await share();
  await one.storeKept(beforePut(store, () => other.storeKept(store)));
  expect(await stored()).toEqual(body);
  expect(await readdir(kept)).toEqual([]);
});

test('a kept image whose bytes vanish before the put, once another has stored it, is no error', async () => {
  const { store, one, other, kept } = await share();
  const elsewhere = beforePut(store, () => other.storeKept(store));
  // So that the put must read the file, which is gone.
  const put: Store['put'] = async (...of) => {
    await elsewhere.put('other/a.png', Buffer.from('x'), { contentType: 'image/png' });
    return store.put('other/b.png', of[1], of[2]);
  };
  await one.storeKept({ ...store, put });
  expect(await readdir(kept)).toEqual([]);
});

test('a store that fails leaves the image where it is, and tells', async () => {
  const { store, one, kept } = await share();
  const away = beforePut(store, () => Promise.reject(new Error('away')));
  await expect(one.storeKept(away)).rejects.toThrow('away');
  expect((await readdir(kept)).sort()).toEqual(['call_1', 'call_1.json']);
});

test('an image that cannot be kept either is told with its place and what is to be done', async () => {
  const { one, kept, image } = await share();
  await rm(kept, { recursive: true });
  await writeFile(kept, '');
  const told = `A paid image could not be stored, and cannot be kept in DATA_DIR (${join(kept, 'call_2')}) either: EEXIST`;
  await expect(one.keep(JOB, 'call_2', image, FACTS)).rejects.toThrow(told);
});
