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
