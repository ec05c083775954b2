import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createRig, type Rig } from '../support/rig.ts';

/** Takes the store's folder away, as a disk that is unmounted. */
async function unmount(rig: Rig): Promise<{ mountAgain: () => Promise<void> }> {
  const folder = join(rig.folder, 'store');
  await rename(folder, `${folder}-away`);
  return { mountAgain: () => rename(`${folder}-away`, folder) };
}

const held = async (rig: Rig) => (await rig.ledger.holds(Date.now())).some((hold) => hold.name === 'store');

describe('while the store takes nothing', () => {
  test('paid images are kept, nothing more is called, and all are stored once it works', async () => {
    await using rig = await createRig({ settings: { SEGMIND_CONCURRENCY: '2', SHUTDOWN_GRACE_MS: '100' } });
    await rig.ended(await rig.submit(['first']));
    const { mountAgain } = await unmount(rig);
    const ids = await rig.submit(Array.from({ length: 10 }, (_, i) => `picture ${i}`));
    await rig.until('the store is held', () => held(rig));
    expect((await rig.upstream.ledger()).billed_count).toBeLessThanOrEqual(1 + 2);
    await mountAgain();
    const jobs = await rig.ended(ids);
    expect(jobs.every((job) => job.status === 'succeeded' && job.attempts === 1)).toBe(true);
    expect((await rig.upstream.ledger()).billed_count).toBe(11);
    expect(await held(rig)).toBe(false);
  });

  test('a worker that must stop keeps the images on disk, and the next one stores them without another call', async () => {
    await using rig = await createRig({ settings: { SHUTDOWN_GRACE_MS: '100', LOCK_MS: '1000' } });
    await rig.ended(await rig.submit(['first']));
    const { mountAgain } = await unmount(rig);
    const ids = await rig.submit(['kept']);
    await rig.until('the store is held', () => held(rig));
    await rig.stopWorkers();
    expect((await readdir(join(rig.folder, 'worker', 'rescue'))).length).toBe(2);
    await mountAgain();
    await rig.addWorker();
    const [job] = await rig.ended(ids);
    expect(job).toMatchObject({ status: 'succeeded', attempts: 1, uncertain: 0 });
    expect((await rig.upstream.ledger()).billed_count).toBe(2);
    expect(await readdir(join(rig.folder, 'worker', 'rescue'))).toEqual([]);
    expect((await rig.ledger.snapshot(Date.now())).uncertainCalls).toEqual([]);
  });
});

describe('another object at the key of an image', () => {
  /** Puts what is no image of the job at each key that it could have. */
  async function occupy(rig: Rig, job: string): Promise<void> {
    for (const extension of ['jpg', 'png', 'webp'])
      await rig.store.put(`jobs/${job}.${extension}`, Buffer.from('taken'), { contentType: 'image/png' });
  }

  /** The key of the job's image, which is whole and lies beside what was there. */
  async function keyBeside(rig: Rig, id: string): Promise<string> {
    const [image] = (await rig.job(id)).output;
    expect(image?.key).toMatch(new RegExp(`^jobs/${id}\\.call_[0-9a-z]+\\.(jpg|png|webp)$`));
    const key = image?.key ?? '';
    expect(await rig.store.head(key)).toMatchObject({
      bytes: image?.bytes,
      metadata: { job: id, sha256: image?.sha256 },
    });
    for (const extension of ['jpg', 'png', 'webp'])
      expect(await rig.store.head(`jobs/${id}.${extension}`)).toMatchObject({ bytes: 5 });
    return key;
  }

  test('stays, and the image that was paid for goes beside it', async () => {
    await using rig = await createRig({ workers: 0 });
    const [id = ''] = await rig.submit(['taken']);
    await occupy(rig, id);
    await rig.addWorker();
    expect(await rig.ended([id])).toMatchObject([{ status: 'succeeded', attempts: 1, uncertain: 0 }]);
    const key = await keyBeside(rig, id);
    expect(rig.logs).toContainEqual(expect.objectContaining({ level: 40, job: id, key }));
    expect((await rig.upstream.ledger()).billed_count).toBe(1);
  });

  test('does not lose an image that was kept on disk: the next worker puts it beside, and finds it there', async () => {
    await using rig = await createRig({ settings: { SHUTDOWN_GRACE_MS: '100', LOCK_MS: '1000' } });
    await rig.ended(await rig.submit(['first']));
    const { mountAgain } = await unmount(rig);
    const [id = ''] = await rig.submit(['kept']);
    await rig.until('the store is held', () => held(rig));
    await rig.stopWorkers();
    await mountAgain();
    await occupy(rig, id);
    await rig.addWorker();
    expect(await rig.ended([id])).toMatchObject([{ status: 'succeeded', attempts: 1, uncertain: 0 }]);
    await keyBeside(rig, id);
    expect((await rig.upstream.ledger()).billed_count).toBe(2);
  });
});
