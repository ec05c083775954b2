import { createBatchFinder } from '@renderyard/api/batches/batch-finder';
import { deleteBatch } from '@renderyard/api/batches/delete-batch';
import type { Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import { describe, expect, test } from 'vitest';
import { CSV, openBatchApi, sharedBatchApi } from './uploading.ts';

const shared = sharedBatchApi();

describe('the list', () => {
  test('has the newest first, in pages, by status, also what only the store knows', async () => {
    await using api = await openBatchApi();
    const made: string[] = [];
    for (let i = 0; i < 3; i++) made.push((await api.make(CSV, { query: { name: `b${i}` } })).id);
    const [oldest = '', second = '', third = ''] = made;
    await api.end(oldest);
    await api.forget(oldest);
    await api.end(third, { failed: 1 });
    await api.post(`/v1/batches/${second}/pause`);

    const ids: string[] = [];
    const pages: number[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const { json } = await api.get(`/v1/batches?limit=2${after === '' ? '' : `&after=${after}`}`);
      ids.push(...json.data.map(({ id }: { id: string }) => id));
      pages.push(json.data.length);
      expect(json).toMatchObject({ object: 'list', has_more: json.next !== null });
      after = json.next;
    }
    expect(ids).toEqual(made.toReversed());
    expect(pages).toEqual([2, 1]);

    const completed = (await api.get('/v1/batches?status=completed')).json.data;
    expect(completed).toMatchObject([
      { id: third, counts: { succeeded: 1, failed: 1 } },
      {
        id: oldest,
        name: 'b0',
        status: 'completed',
        counts: { total: 2, succeeded: 2, queued: 0 },
        cost: 0.04,
        rate: 2,
      },
    ]);
    expect(completed[1].estimate).toMatchObject({ cost: 0, seconds: 0 });
    expect((await api.get('/v1/batches?status=paused')).json.data).toMatchObject([{ id: second }]);
    expect((await api.get('/v1/batches?status=canceled')).json).toMatchObject({
      data: [],
      has_more: false,
      next: null,
    });
  });

  test('goes on where a page had too many batches of another status', async () => {
    await using api = await openBatchApi();
    const { id } = await api.make();
    // Listed, and nothing else is known of them.
    const later = Array.from({ length: 400 }, (_, i) => `bat_zzz${String(i).padStart(23, '0')}`);
    await api.redis.zadd(`${api.prefix}batches:default`, ...later.flatMap((each) => [0, each]));
    const first = (await api.get('/v1/batches?status=running')).json;
    expect(first).toMatchObject({ data: [], has_more: true, next: 'bat_zzz00000000000000000000100' });
    const rest = (await api.get(`/v1/batches?status=running&after=${first.next}`)).json;
    expect(rest).toMatchObject({ data: [{ id }], has_more: false, next: null });
  });

  test.each(['status=odd', 'limit=0', 'after=job_x', 'page=2'])('%s is refused', async (query) => {
    const api = shared();
    const { status, json } = await api.get(`/v1/batches?${query}`);
    expect(status).toBe(400);
    expect(json.detail).toMatch(/[^.]\.$/);
  });
});

describe('a deletion', () => {
  const IMAGE = Buffer.from('image');

  test('takes an ended batch away, but its images stay', async () => {
    await using api = await openBatchApi();
    const { id } = await api.make();
    const other = await api.make();
    expect(await api.call('DELETE', `/v1/batches/${id}`)).toMatchObject({
      status: 409,
      json: { code: 'batch_not_ended' },
    });
    await api.end(id);
    await api.store.put(`batches/${id}/images/fox.png`, IMAGE, { contentType: 'image/png' });
    expect((await api.call('DELETE', `/v1/batches/${id}`)).status).toBe(204);
    expect((await api.get(`/v1/batches/${id}`)).status).toBe(404);
    expect((await api.call('DELETE', `/v1/batches/${id}`)).status).toBe(404);
    expect((await api.get('/v1/batches')).json.data).toMatchObject([{ id: other.id }]);
    expect((await api.keys()).filter((key) => key.includes(id))).toEqual([`batches/${id}/images/fox.png`]);
    expect(await api.states.get(id)).toBeUndefined();
  });

  test('takes the images, too, if that is asked for, also of a batch that only the store knows', async () => {
    await using api = await openBatchApi();
    const { id } = await api.make();
    await api.end(id);
    await api.forget(id);
    await api.store.put(`batches/${id}/images/fox.png`, IMAGE, { contentType: 'image/png' });
    expect((await api.call('DELETE', `/v1/batches/${id}?images=yes`)).status).toBe(400);
    expect((await api.call('DELETE', `/v1/batches/${id}?images=true`)).status).toBe(204);
    expect(await api.keys()).toEqual([]);
    expect((await api.get('/v1/batches')).json.data).toEqual([]);
  });

  test('that breaks off can be repeated', async () => {
    await using api = await openBatchApi();
    const { id } = await api.make();
    await api.end(id);
    const found = await createBatchFinder(api).find(id, 'default');
    let left = 1;
    const breaking: Store = {
      ...api.store,
      delete: async (keys) => {
        if (left-- === 0) throw new StoreError('unavailable', 'The store is away.');
        return api.store.delete(keys);
      },
    };
    await expect(deleteBatch({ store: breaking, states: api.states }, found, { images: true })).rejects.toThrow('away');
    expect((await api.get('/v1/batches')).json.data).toMatchObject([{ id, status: 'completed' }]);
    expect((await api.call('DELETE', `/v1/batches/${id}`)).status).toBe(204);
    expect(await api.keys()).toEqual([]);
    expect((await api.get('/v1/batches')).json.data).toEqual([]);
  });

  test('takes an ended single job away, with its image if that is asked for', async () => {
    await using api = await openBatchApi();
    const [kept, gone, open] = [await api.submit(), await api.submit(), await api.submit()];
    for (const { id } of [kept, gone]) {
      const image = { content_type: 'image/png', bytes: 5, width: 1, height: 1, sha256: 'ab'.repeat(32), seed: 1 };
      await api.store.put(`jobs/${id}.png`, IMAGE, { contentType: 'image/png' });
      await api.succeed(id, { ...image, key: `jobs/${id}.png` });
    }
    expect((await api.call('DELETE', `/v1/jobs/${kept.id}`)).status).toBe(204);
    expect((await api.call('DELETE', `/v1/jobs/${gone.id}?images=true`)).status).toBe(204);
    expect(await api.call('DELETE', `/v1/jobs/${open.id}`)).toMatchObject({
      status: 409,
      json: { code: 'job_not_ended' },
    });
    for (const { id } of [kept, gone]) expect((await api.call('DELETE', `/v1/jobs/${id}`)).status).toBe(404);
    expect(await api.keys()).toEqual([`jobs/${kept.id}.png`]);
    expect((await api.get('/v1/jobs')).json.data).toMatchObject([{ id: open.id }]);
    expect((await api.get('/v1/jobs?status=succeeded')).json.data).toEqual([]);
  });

  test('of a row is refused: it goes with its batch', async () => {
    const api = shared();
    const { id } = await api.make();
    const row = `job_${id.slice(4)}_1`;
    expect(await api.call('DELETE', `/v1/jobs/${row}`)).toMatchObject({ status: 409, json: { code: 'row_of_batch' } });
  });
});
