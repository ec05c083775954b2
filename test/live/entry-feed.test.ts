import { randomBytes } from 'node:crypto';
import { createEntryFeed, type EntryFeed } from '@renderyard/api/live/entry-feed';
import { createLiveHistory } from '@renderyard/api/live/live-history';
import { createLiveStream } from '@renderyard/api/live/live-stream';
import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { createGeneration, generationKey } from '@renderyard/shared/redis/generation';
import { keyPrefix } from '@renderyard/shared/redis/keys';
import { expect, inject, test, vi } from 'vitest';

/** A stream of its own in Redis, and who hears it. */
async function openStream() {
  const prefix = keyPrefix(`test-${randomBytes(6).toString('hex')}`);
  const logger = createLogger({ service: 'test', level: 'silent' });
  const redis = connectRedis(inject('redisUrl'), 'worker', logger);
  await createGeneration(redis, prefix).join();
  const connect = () => connectRedis(inject('redisUrl'), 'blocking', logger);
  const live = createLiveStream({ connect, prefix, clock: systemClock, logger });
  await live.begun;
  const write = async (job = 'one') => {
    const entry = { account: 'acme', type: 'job.queued', at: '1', job };
    return String(await redis.xadd(`${prefix}live`, '*', ...Object.entries(entry).flat()));
  };
  return {
    redis,
    prefix,
    live,
    history: createLiveHistory({ redis, prefix }),
    write,
    writeMany: (count: number) => Promise.all(Array.from({ length: count }, () => write())),
    /** Resolves when an entry was told to all who listen. */
    heard: (id: string) => vi.waitFor(() => expect(live.position).toBe(id), { timeout: 15_000, interval: 1 }),
    [Symbol.asyncDispose]: async () => {
      await live.close();
      await redis.del(`${prefix}live`, generationKey(prefix));
      redis.disconnect();
    },
  };
}

/** All that there is, in order. */
async function drain(feed: EntryFeed): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const entry = await feed.first();
    if (entry === 'none') return ids;
    if (entry === 'lost') return [...ids, 'lost'];
    ids.push(entry.id);
    feed.drop(entry);
  }
}

test('what is written while the stream is read up to its end is neither missed nor told twice', async () => {
  await using stream = await openStream();
  const from = await stream.write();
  const ids = await stream.writeMany(5);
  // After every page that was read, one more entry is written, and heard, before the page is looked at.
  const history = {
    ...stream.history,
    after: async (position: string) => {
      const page = await stream.history.after(position);
      if (ids.length < 9) {
        const id = await stream.write();
        ids.push(id);
        await stream.heard(id);
      }
      return page;
    },
  };
  const feed = createEntryFeed({ live: stream.live, history }, 'job:one');
  feed.resume(from);
  const told = await drain(feed);
  const last = await stream.write();
  await stream.heard(last);
  told.push(...(await drain(feed)));
  feed.close();
  expect(told).toEqual([...ids, last]);
});

test('more than may wait is read from the stream again', async () => {
  await using stream = await openStream();
  const feed = createEntryFeed(stream, 'job:one');
  await stream.write();
  await feed.restart();
  // One is looked at already when the others come.
  const ids = await stream.writeMany(1);
  await stream.heard(ids[0] ?? '');
  const first = await feed.first();
  ids.push(...(await stream.writeMany(700)));
  await stream.heard(ids.at(-1) ?? '');
  expect(await feed.first()).toMatchObject({ id: ids[0] });
  expect(first).toMatchObject({ id: ids[0] });
  expect(await drain(feed)).toEqual(ids);
  // And then it is heard again.
  const last = await stream.write();
  await stream.heard(last);
  expect(await drain(feed)).toEqual([last]);
  feed.close();
});

test('what was dropped from the stream before it was read is known to be lost', async () => {
  await using stream = await openStream();
  const feed = createEntryFeed(stream, 'job:one');
  await stream.write();
  await feed.restart();
  const ids = await stream.writeMany(300);
  await stream.heard(ids.at(-1) ?? '');
  await stream.redis.xtrim(`${stream.prefix}live`, 'MAXLEN', 10);
  expect((await drain(feed)).at(-1)).toBe('lost');
  feed.close();
});

test('entries of others move the position, and are not told', async () => {
  await using stream = await openStream();
  const feed = createEntryFeed(stream, 'job:one');
  await feed.restart();
  const other = await stream.write('other');
  await stream.heard(other);
  expect([await drain(feed), feed.position]).toEqual([[], other]);
  // The same out of the stream.
  const again = createEntryFeed(stream, 'job:one');
  const own = await stream.write();
  const latest = await stream.write('other');
  again.resume(other);
  expect([await drain(again), again.position]).toEqual([[own], latest]);
  for (const each of [feed, again]) each.close();
});

test('another mark of Redis is a gap, and so is an entry that is gone', async () => {
  await using stream = await openStream();
  const feed = createEntryFeed(stream, 'job:one');
  await stream.heard(await stream.write());
  await feed.restart();
  await stream.redis.set(generationKey(stream.prefix), 'another');
  await stream.write();
  await vi.waitFor(() => expect(feed.hasGap).toBe(true), { timeout: 15_000 });
  await feed.restart();
  expect(feed.hasGap).toBe(false);
  await stream.redis.del(`${stream.prefix}live`);
  await stream.write();
  await vi.waitFor(() => expect(feed.hasGap).toBe(true), { timeout: 15_000 });
  feed.close();
});
