import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { manifestKey } from '@renderyard/shared/batch/batch-layout';
import type { Store } from '@renderyard/shared/store/store';
import { missedEvents } from '@renderyard/worker/webhook/missed-events';
import { expect, test } from 'vitest';
import { openTellingYard } from './telling.ts';

test('of batches that had told everything before, nothing is read from the store but when they ended', async () => {
  await using yard = await openTellingYard();
  const { redis, prefix, states } = yard;
  const [known, forgotten] = [await yard.upload(['one']), await yard.upload(['two'])];
  for (const id of [known, forgotten]) await yard.ended(id);
  const hourAgo = Date.now() - 3_600_000;
  await redis.hset(`${prefix}batch:${known}`, { ended_at: hourAgo, told_at: hourAgo });
  await redis.del(`${prefix}batch:${forgotten}`);
  const manifest = join(yard.dataDir, 'store', manifestKey(forgotten));
  await utimes(manifest, hourAgo / 1000, hourAgo / 1000);
  const late = await yard.upload(['three']);
  await yard.ended(late);

  const read: string[] = [];
  const store: Store = {
    ...yard.store,
    get: (key, options) => {
      read.push(key);
      return yard.store.get(key, options);
    },
  };
  const task = { receiver: 'whk_1', account: 'default', turn: 1, events: '*' };
  const missedSince = async (from: number) => {
    const found: (string | undefined)[] = [];
    const deps = { redis, prefix, states, store, files: createBatchFiles({ store }) };
    for await (const { events } of missedEvents(deps, { ...task, from, until: Date.now() + 1000 }))
      found.push(...events.map(({ batch_id: batch }) => batch));
    return found.sort();
  };
  expect(await missedSince(hourAgo + 60_000)).toEqual([late]);
  expect(read.filter((key) => [known, forgotten].some((id) => key.includes(id)))).toEqual([]);
  expect(await missedSince(hourAgo - 1000)).toEqual([known, forgotten, late].sort());
}, 60_000);
