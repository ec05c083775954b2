import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestKey, openKey } from '@renderyard/shared/batch/batch-layout';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';
import { createOwedNotes, type OwedNote, restoreOwed } from '@renderyard/shared/webhook/owed-note';
import { expect, test } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { openHttpReceiver, verified } from './http-receiver.ts';
import { openTellingYard, type Yard } from './telling.ts';

const FILTER = 'job.succeeded,batch.completed';
const ids = (received: readonly { readonly id: string }[]) => [...new Set(received.map(({ id }) => id))].sort();

async function noteOf(yard: Yard): Promise<OwedNote | undefined> {
  const object = await yard.store.get('owed-webhooks.json');
  return object && (JSON.parse(Buffer.concat(await object.body.toArray()).toString('utf8')) as OwedNote);
}

async function untilRebuilt(yard: Yard, was: string | null): Promise<void> {
  await yard.until('Redis is rebuilt', async () => {
    const now = await yard.redis.get(`${yard.prefix}generation`);
    return now !== null && now !== was;
  });
  await yard.generation.find();
  await yard.until('the API has noticed', async () => (await yard.get('/v1/webhooks')).status === 200);
}

test('Redis emptied while deliveries wait: those of a batch and its rows arrive under the ids that they had', async () => {
  await using redis = await startRedisInstance();
  await using yard = await openTellingYard({
    workers: 2,
    redisUrl: redis.url,
    env: { WEBHOOK_SCHEDULE_S: '0,3600,3600' },
  });
  await using own = await openHttpReceiver();
  await using all = await openHttpReceiver();
  for (const receiver of [own, all]) receiver.answer(503);
  const { secret } = await yard.endpoint(all.url);
  const batch = await yard.upload(['one', 'two', 'three'], { webhook: own.url, webhook_events_filter: FILTER });
  await yard.ended(batch);
  const waiting = async () => (await yard.webhooks.list('default', { status: 'pending', limit: 50 })).length;
  await yard.until('all of it waits', async () => (await waiting()) === 8);
  const events = (await yard.webhooks.list('default', { limit: 50 })).map(({ event }) => event);
  await yard.until('it is noted', async () => Object.keys((await noteOf(yard))?.receivers ?? {}).length === 2);
  const tried = [own.received.length, all.received.length];
  const was = await yard.redis.get(`${yard.prefix}generation`);
  for (const receiver of [own, all]) receiver.answer(200);
  await yard.redis.flushall();

  await untilRebuilt(yard, was);
  await yard.until('all has arrived', () => {
    const [a = 0, b = 0] = tried;
    return own.received.length >= a + 4 && all.received.length >= b + 4;
  });
  await yard.untilQuiet();
  const [a = 0, b = 0] = tried;
  for (const arrived of [own.received.slice(a), all.received.slice(b)]) {
    expect(arrived).toHaveLength(4);
    expect(ids(arrived)).toEqual(ids(events.map((id) => ({ id }))));
    expect(arrived.filter(({ json }) => json.type === 'batch.completed')).toHaveLength(1);
  }
  for (const one of all.received.slice(b)) {
    const { data } = verified(secret, one);
    const path = one.json.type.startsWith('job.') ? `/v1/jobs/${data.id}` : `/v1/batches/${data.id}`;
    expect((await yard.get(path)).json).toMatchObject({ status: data.status, cost: data.cost });
  }
}, 60_000);

test('Redis emptied right after a batch was told of, before it was delivered: endpoints and its own webhook hear of it', async () => {
  await using redis = await startRedisInstance();
  await using yard = await openTellingYard({ redisUrl: redis.url, env: { WEBHOOK_SCHEDULE_S: '3600' } });
  await using own = await openHttpReceiver();
  await using all = await openHttpReceiver();
  await yard.endpoint(all.url);
  await yard.until('there is a note', async () => (await noteOf(yard)) !== undefined);
  const batch = await yard.upload(['one'], { webhook: own.url });
  await yard.until('it is no longer marked as open', async () => (await yard.store.head(openKey(batch))) === undefined);
  const was = await yard.redis.get(`${yard.prefix}generation`);
  await yard.redis.flushall();
  await untilRebuilt(yard, was);
  await yard.until('it was told', () => all.received.length === 1 && own.received.length === 1);
  expect(all.received[0]?.json).toMatchObject({ type: 'batch.completed', data: { id: batch, status: 'completed' } });
  expect(ids(own.received)).toEqual(ids(all.received));
}, 60_000);

test('an endpoint that was made after the last note hears of nothing from before it', async () => {
  await using redis = await startRedisInstance();
  await using yard = await openTellingYard({ redisUrl: redis.url });
  await using late = await openHttpReceiver();
  await yard.until('there is a note', async () => (await noteOf(yard)) !== undefined);
  // As if nothing had been told for an hour, so that it was not written anew.
  const hourAgo = Buffer.from(JSON.stringify({ at: Date.now() - 3_600_000, receivers: {} }));
  await yard.store.put('owed-webhooks.json', hourAgo, { contentType: 'application/json' });
  const before = await yard.upload(['one']);
  await yard.ended(before);
  // As if it had been written a minute ago.
  const longAgo = Date.now() / 1000 - 60;
  await utimes(join(yard.dataDir, 'store', manifestKey(before)), longAgo, longAgo);
  await yard.endpoint(late.url);
  const was = await yard.redis.get(`${yard.prefix}generation`);
  await yard.redis.flushall();
  await untilRebuilt(yard, was);
  const after = await yard.upload(['two']);
  await yard.until('it has heard', () => late.received.length > 0);
  await yard.untilQuiet();
  expect(late.received.map(({ json }) => `${json.type} ${json.data.id}`)).toEqual([`batch.completed ${after}`]);
}, 60_000);

test('an endpoint that is disabled as Redis is emptied can catch up since it was disabled', async () => {
  await using redis = await startRedisInstance();
  await using yard = await openTellingYard({ redisUrl: redis.url });
  await using receiver = await openHttpReceiver();
  const { id } = await yard.endpoint(receiver.url);
  const { disabled } = await yard.change(id, { state: 'disabled' });
  const batch = await yard.upload(['one']);
  await yard.ended(batch);
  const was = await yard.redis.get(`${yard.prefix}generation`);
  await yard.redis.flushall();
  await untilRebuilt(yard, was);
  const shown = await yard.get(`/v1/webhooks/${id}`);
  expect(shown.json).toMatchObject({ state: 'disabled', missed_since: disabled.since });
  expect(receiver.received).toEqual([]);
  await yard.change(id, { state: 'enabled', recover: true });
  await yard.until('it has caught up', () => receiver.received.length === 1);
  expect(receiver.received[0]?.json).toMatchObject({ type: 'batch.completed', data: { id: batch } });
}, 60_000);

test('who is to be read for, and for whom an event lies in the outbox, is owed it like those for whom deliveries wait', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  const { id: reading } = await yard.endpoint('http://127.0.0.1:9/reading', ['batch.canceled']);
  const { id: begun } = await yard.endpoint('http://127.0.0.1:9/begun', ['batch.canceled']);
  const { id: hears } = await yard.endpoint('http://127.0.0.1:9/hears', ['job.canceled']);
  const { prefix, redis, webhooks } = yard;
  const before = Date.now();
  await webhooks.requestCatchUp(begun, 'default', 2000);
  expect(await webhooks.takeCatchUp(60_000)).toMatchObject({ receiver: begun });
  await webhooks.requestCatchUp(begun, 'default', 3000);
  await webhooks.requestCatchUp(reading, 'default', 1000);
  const job = await yard.render('a fox');
  await yard.post(`/v1/jobs/${job}/cancel`);
  const [[entry = '', [, text = '']] = ['', []]] = await redis.xrange(`${prefix}outbox`, '-', '+');
  const { at } = JSON.parse(text) as OutboxEvent;
  const owed = await webhooks.owed();
  expect(owed.receivers).toEqual({
    [reading]: { account: 'default', since: 1000 },
    [begun]: { account: 'default', since: 2000 },
    [hears]: { account: 'default', since: at },
  });
  expect(owed.told).toBe(1);
  // What lies in the outbox is neither delivered nor, for all who are to hear of it, known to wait.
  expect(owed.at).toBeLessThanOrEqual(Number(entry.split('-')[0]));
  expect(owed.at).toBeGreaterThanOrEqual(before - 1000);
});

test('a note is there before anything is told, and a Redis in which nothing was ever told overwrites none', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  const { webhooks, store, redis, prefix } = yard;
  const note = createOwedNotes({ webhooks, store });
  await note();
  expect(await noteOf(yard)).toMatchObject({ receivers: {} });
  const { id } = await yard.endpoint('http://127.0.0.1:9/');
  const job = await yard.render('a fox');
  await yard.post(`/v1/jobs/${job}/cancel`);
  await note();
  const written = await noteOf(yard);
  expect(Object.keys(written?.receivers ?? {})).toEqual([id]);
  await redis.del(`${prefix}told`, `${prefix}outbox`);
  await note();
  await createOwedNotes({ webhooks, store })();
  expect(await noteOf(yard)).toEqual(written);
});

test('a note gives those of whom it does not tell ten seconds before it, or before they began to listen', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  const { store } = yard;
  const asked: unknown[] = [];
  const webhooks = {
    requestCatchUp: (...args: unknown[]) => {
      asked.push(args);
      return Promise.resolve();
    },
  };
  const damaged: unknown[] = [];
  const restore = () =>
    restoreOwed(
      { webhooks, store },
      [
        { receiver: 'whk_old', account: 'a', from: 5 },
        { receiver: 'whk_new', account: 'a', from: 90_000 },
        { receiver: 'url_1', account: 'a' },
        { receiver: 'whk_owed', account: 'b', from: 5 },
      ],
      (key) => damaged.push(key),
    );
  await store.delete(['owed-webhooks.json']);
  expect(await restore()).toBe(0);
  const put = (text: string) => store.put('owed-webhooks.json', Buffer.from(text), { contentType: 'application/json' });
  await put(JSON.stringify({ at: 50_000, receivers: { whk_owed: { account: 'b', since: 7000 } } }));
  expect(await restore()).toBe(4);
  expect(asked).toEqual([
    ...[
      ['whk_old', 'a', 40_000],
      ['whk_new', 'a', 80_000],
      ['url_1', 'a', 40_000],
      ['whk_owed', 'b', 7000],
    ],
  ]);
  await put('{"at": "yesterday"}');
  expect([await restore(), damaged]).toEqual([0, ['owed-webhooks.json']]);
});
