import {
  accountBatchKey,
  manifestKey,
  openKey,
  recordKey,
  rejectedKey,
  rowsKey,
  uploadKey,
} from '@renderyard/shared/batch/batch-layout';
import { systemClock } from '@renderyard/shared/clock';
import { newId } from '@renderyard/shared/ids';
import { StoreError } from '@renderyard/shared/store/store-error';
import { sweepUploads } from '@renderyard/worker/batch/sweep-uploads';
import { describe, expect, test } from 'vitest';
import { storeBatch, storeRowImage } from '../support/stored-batch.ts';
import { openWorkshop, withEach } from './workshop.ts';

type Workshop = Awaited<ReturnType<typeof openWorkshop>>;

/** Everything that was written before is old enough for this. */
const OLD = -2000;
const sweep = (shop: Workshop, deadMs = OLD, store = shop.store) =>
  sweepUploads({ states: shop.states, files: shop.files, store, clock: systemClock, logger: shop.logger }, deadMs);

/** What an upload leaves whose process died before it made a batch. */
async function cutOff(shop: Workshop, marker: string): Promise<string> {
  const id = newId('bat');
  const keys = [
    rowsKey(id, 'u', 0),
    rowsKey(id, 'u', 1),
    rejectedKey(id, 'u', 0),
    accountBatchKey('acme', id),
    openKey(id),
  ];
  for (const key of keys) await shop.store.put(key, Buffer.from('{}\n'), { contentType: 'application/x-ndjson' });
  await shop.store.put(uploadKey(id), Buffer.from(marker), { contentType: 'application/json' });
  return id;
}

describe('an upload whose process died', () => {
  test.each([
    ['says whose it is', '{"account":"acme"}'],
    ['says nothing', ''],
  ])('and whose marker %s leaves nothing, and takes nothing from others', async (_, marker) => {
    await using shop = await openWorkshop();
    const other = await storeBatch(shop.store);
    const before = await shop.keys('');
    const id = await cutOff(shop, marker);
    await sweep(shop, OLD);
    expect(await shop.keys('')).toEqual(before);
    expect(await shop.keys('')).toContain(recordKey(other.record.id));
    expect(shop.logs).toContainEqual(expect.objectContaining({ batch: id, objects: 3 }));
  });

  test('is left alone as long as its marker is young', async () => {
    await using shop = await openWorkshop();
    await cutOff(shop, '{"account":"acme"}');
    const before = await shop.keys('');
    await sweep(shop, 600_000);
    expect(await shop.keys('')).toEqual(before);
  });

  test('is found again when its sweep was broken off at any point', async () => {
    await using shop = await openWorkshop();
    const before = await shop.keys('');
    for (let at = 1, broke = true; broke; at++) {
      broke = false;
      await cutOff(shop, '{"account":"acme"}');
      let changes = 0;
      const store = withEach(shop.store, (what) => {
        if (!what.startsWith('delete') || ++changes !== at) return;
        broke = true;
        throw new StoreError('unavailable', 'The store is away.');
      });
      await sweep(shop, OLD, store).catch((error: unknown) => expect(error).toBeInstanceOf(StoreError));
      await sweep(shop);
      expect(await shop.keys('')).toEqual(before);
    }
  });

  test('runs, if it had become a batch', async () => {
    await using shop = await openWorkshop();
    const stored = await storeBatch(shop.store);
    await shop.store.delete([openKey(stored.record.id)]);
    await shop.store.put(uploadKey(stored.record.id), Buffer.alloc(0), { contentType: 'application/json' });
    await sweep(shop);
    expect(await shop.states.get(stored.record.id)).toMatchObject({ status: 'running', total: 5 });
    expect(await shop.keys('uploads/')).toEqual([]);
    expect(await shop.keys('open/')).toEqual([openKey(stored.record.id)]);
    expect(await shop.endRows(stored)).toBe(5);
  });
});

describe('a batch that has a marker', () => {
  test('and is not known goes on with what the store tells of it, and one that is known is left as it is', async () => {
    await using shop = await openWorkshop();
    const unknown = await storeBatch(shop.store);
    await storeRowImage(shop.store, unknown.record.id, unknown.rows[0] as (typeof unknown.rows)[number]);
    const known = await shop.batch();
    await shop.endRows(known, { most: 2 });
    await sweep(shop);
    expect(await shop.states.get(unknown.record.id)).toMatchObject({ status: 'running', succeeded: 1 });
    expect(await shop.states.get(known.record.id)).toMatchObject({ status: 'running', succeeded: 2 });
  });

  test('and is damaged stops no other', async () => {
    await using shop = await openWorkshop();
    const damaged = await storeBatch(shop.store);
    await shop.store.put(recordKey(damaged.record.id), Buffer.from('{'), { contentType: 'application/json' });
    await shop.store.put(uploadKey(damaged.record.id), Buffer.alloc(0), { contentType: 'application/json' });
    const whole = await storeBatch(shop.store);
    await sweep(shop);
    expect(await shop.states.get(whole.record.id)).toMatchObject({ status: 'running' });
    expect(await shop.keys(`batches/${damaged.record.id}/`)).toHaveLength(3);
  });

  test.each([
    ['is known to have ended', async () => {}],
    ['is forgotten', (shop: Workshop, id: string) => shop.states.forget('acme', id)],
  ])('and has ended, and %s, loses the marker and is not run again', async (_, forget) => {
    await using shop = await openWorkshop();
    const stored = await shop.batch({ rows: 2 });
    await shop.endRows(stored, { fails: (row) => row === 1 });
    await shop.flusher().tick();
    expect(await shop.manifest(stored.record.id)).toBeDefined();
    const manifest = await shop.text(manifestKey(stored.record.id));
    await shop.store.put(openKey(stored.record.id), Buffer.alloc(0), { contentType: 'application/json' });
    await forget(shop, stored.record.id);
    await sweep(shop);
    expect(await shop.keys('open/')).toEqual([]);
    expect(await shop.endRows(stored)).toBe(0);
    expect(await shop.states.list('acme', { limit: 5 })).toEqual([stored.record.id]);
    expect(await shop.text(manifestKey(stored.record.id))).toBe(manifest);
  });
});
