import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { rowJobId } from '@renderyard/shared/batch/row';
import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import { createEventComposer } from '@renderyard/shared/webhook/compose-event';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';
import { createRelay } from '@renderyard/worker/webhook/relay';
import { expect, test } from 'vitest';
import { allKeys } from '../redis/keys.ts';
import { openHttpReceiver, verified } from './http-receiver.ts';
import { openTellingYard, type Yard } from './telling.ts';

/** Reads everything that is new in the outbox and does nothing with it, as a worker that dies. */
async function readAndDie(yard: Yard): Promise<number> {
  const reader = yard.redis.duplicate();
  try {
    await reader.xgroup('CREATE', `${yard.prefix}outbox`, 'relay', '0', 'MKSTREAM').catch(() => undefined);
    const found = (await reader.xreadgroup(
      ...([
        'GROUP',
        'relay',
        'wrk_dead',
        'COUNT',
        100,
        'BLOCK',
        15_000,
        'STREAMS',
        `${yard.prefix}outbox`,
        '>',
      ] as const),
    )) as [string, unknown[]][] | null;
    return found?.[0]?.[1].length ?? 0;
  } finally {
    reader.disconnect();
  }
}

test('events that a worker read before it died are taken over and told once, by two workers as by one', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  await using receiver = await openHttpReceiver();
  const { secret } = await yard.endpoint(receiver.url);
  const job = await yard.render('a fox');
  expect((await yard.post(`/v1/jobs/${job}/cancel`)).status).toBeLessThan(300);
  expect(await readAndDie(yard)).toBe(1);

  await Promise.all([yard.addWorker(), yard.addWorker()]);
  await yard.until('it was told', () => receiver.received.length > 0);
  await yard.untilQuiet();
  expect(receiver.received.map((one) => verified(secret, one))).toMatchObject([
    { type: 'job.canceled', data: { id: job, status: 'canceled' } },
  ]);
  expect(await yard.redis.xlen(`${yard.prefix}outbox`)).toBe(0);
  const [pending] = (await yard.redis.xpending(`${yard.prefix}outbox`, 'relay')) as [number];
  expect(pending).toBe(0);
}, 60_000);

test('two workers relay a hundred events without a double, and each event is gone from the outbox', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  await using receiver = await openHttpReceiver();
  const { secret } = await yard.endpoint(receiver.url);
  await using own = await openHttpReceiver();
  const jobs: string[] = [];
  for (let i = 0; i < 100; i++) {
    const job = await yard.render(`picture ${i}`, { webhook: own.url });
    await yard.post(`/v1/jobs/${job}/cancel`);
    jobs.push(job);
  }
  expect(await yard.redis.xlen(`${yard.prefix}outbox`)).toBe(100);
  await Promise.all([yard.addWorker(), yard.addWorker()]);
  await yard.until('all was told', () => receiver.ids.size === 100 && own.ids.size === 100);
  await yard.untilQuiet();
  expect([receiver.received.length, own.received.length]).toEqual([100, 100]);
  expect(receiver.received.map((one) => verified(secret, one).data.id).sort()).toEqual(jobs.sort());
  expect(await yard.redis.xlen(`${yard.prefix}outbox`)).toBe(0);
}, 60_000);

test('an event of a row that cannot be composed while the store is away waits for it', async () => {
  await using yard = await openTellingYard({ env: { RENDER_ATTEMPTS: '1' } });
  await using receiver = await openHttpReceiver();
  const batch = await yard.upload(['one'], { webhook_events_filter: 'job.succeeded' });
  await yard.ended(batch);
  await yard.stopWorkers();
  const { id } = await yard.endpoint(receiver.url, ['job.succeeded']);
  const line = { row: 1, run: 0, status: 'succeeded', attempts: 1, uncertain: 0, cost: 1, started_at: 1, ended_at: 2 };
  const event: OutboxEvent = {
    ...{ id: 'evt_row', type: 'job.succeeded', account: 'default', at: Date.now(), to: [{ webhook: id }] },
    ...{ job_id: rowJobId(batch, 1), batch_id: batch, row: { row: 1, line: JSON.stringify(line) } },
  };
  await yard.redis.xadd(`${yard.prefix}outbox`, '*', 'event', JSON.stringify(event));

  let isAway = true;
  const store: Store = {
    ...yard.store,
    get: (key, options) =>
      isAway ? Promise.reject(new StoreError('unavailable', 'The store is away.')) : yard.store.get(key, options),
  };
  const composer = createEventComposer({
    ...{ files: createBatchFiles({ store }), states: yard.states, ledger: yard.ledger },
    ...{ config: yard.config, clock: systemClock },
  });
  let tried = 0;
  const relay = createRelay({
    ...{
      redis: yard.redis,
      connect: () => yard.redis.duplicate(),
      prefix: yard.prefix,
      worker: 'wrk_1',
      webhooks: yard.webhooks,
      firstWaitMs: 0,
    },
    ...{
      clock: systemClock,
      logger: createLogger({ service: 'test', level: 'info', destination: { write: () => undefined } }),
    },
    onMade: () => undefined,
    onError: (error) => Promise.reject(error),
    compose: (told) => {
      tried++;
      return composer.compose(told);
    },
  });
  relay.start();
  await yard.until('it was tried twice', () => tried > 1);
  expect(await yard.redis.xlen(`${yard.prefix}outbox`)).toBe(1);
  expect(await yard.webhooks.list('default', { limit: 5 })).toEqual([]);
  isAway = false;
  await yard.until('it has left', async () => (await yard.redis.xlen(`${yard.prefix}outbox`)) === 0);
  await relay.stop();
  const [made] = await yard.webhooks.list('default', { limit: 5 });
  expect(JSON.parse(made?.body ?? '')).toMatchObject({ type: 'job.succeeded', data: { input: { prompt: 'one' } } });
}, 60_000);

test('events that cannot be told, again and again, hold up neither those that a worker read before it died nor new ones', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  const { redis, prefix } = yard;
  const outbox = `${prefix}outbox`;
  const credits = { from: 'open', to: 'low', cause: 'below_low', balance: '1', floor: '' };
  const tell = (id: string) => {
    const event: OutboxEvent = { id, type: 'credits.low', account: 'default', at: Date.now(), to: [], credits };
    return redis.xadd(outbox, '*', 'event', JSON.stringify(event));
  };
  // More than are read at once.
  for (let i = 0; i < 120; i++) await tell(`evt_bad${i}`);
  const good = await tell('evt_good');
  expect(await readAndDie(yard)).toBe(100);
  expect(await readAndDie(yard)).toBe(21);
  // As if that were a while ago.
  for (const [id] of await redis.xrange(outbox, '-', '+'))
    await redis.xclaim(outbox, 'relay', 'wrk_dead', 0, id, 'IDLE', 60_000);
  const relay = createRelay({
    ...{
      redis,
      connect: () => redis.duplicate(),
      prefix,
      worker: 'wrk_1',
      webhooks: yard.webhooks,
      firstWaitMs: 0,
      clock: systemClock,
    },
    logger: createLogger({ service: 'test', level: 'fatal' }),
    onMade: () => undefined,
    onError: (error) => Promise.reject(error),
    compose: ({ id }) => (id.includes('bad') ? Promise.reject(new Error('It is damaged.')) : Promise.resolve('{}')),
  });
  relay.start();
  const isGone = async (id: string | null) => (await redis.xrange(outbox, id ?? '', id ?? '')).length === 0;
  await yard.until('the good one was told', () => isGone(good));
  const fresh = await tell('evt_new');
  await yard.until('the new one was told', () => isGone(fresh));
  await relay.stop();
  expect(await redis.xlen(outbox)).toBe(120);
}, 60_000);

test('an outbox that an emptied Redis has lost is made anew, and what is told then is relayed', async () => {
  await using yard = await openTellingYard();
  await using receiver = await openHttpReceiver();
  await yard.endpoint(receiver.url);
  await yard.render('a fox');
  await yard.until('the first was told', () => receiver.received.length === 1);
  const generation = (await yard.redis.get(`${yard.prefix}generation`)) ?? '';
  // The stream alone, with its group, while a relay waits in a read.
  await yard.redis.del(`${yard.prefix}outbox`);
  await yard.render('an owl');
  await yard.until('the second was told', () => receiver.received.length === 2);
  expect(await yard.redis.get(`${yard.prefix}generation`)).toBe(generation);
  expect(yard.workerLogs.filter(({ msg }) => String(msg).includes('upkeep failed'))).toEqual([]);
}, 60_000);

test('what is no event, and what was told of nobody, leaves the outbox', async () => {
  await using yard = await openTellingYard();
  await yard.redis.xadd(`${yard.prefix}outbox`, '*', 'event', 'no JSON');
  await yard.redis.xadd(`${yard.prefix}outbox`, '*', 'other', '1');
  const credits = { from: 'open', to: 'low', cause: 'below_low', balance: '1', floor: '' };
  const event: OutboxEvent = { id: 'evt_x', type: 'credits.low', account: 'default', at: Date.now(), to: [], credits };
  await yard.redis.xadd(`${yard.prefix}outbox`, '*', 'event', JSON.stringify(event));
  await yard.until('all is gone', async () => (await yard.redis.xlen(`${yard.prefix}outbox`)) === 0);
  expect((await allKeys(yard.redis, `${yard.prefix}dlv:`)).length).toBe(0);
}, 60_000);

test('a worker that is told to stop in the middle of a delivery counts no failure, and another sends it once the lease is over', async () => {
  await using yard = await openTellingYard({
    workers: 0,
    env: { SHUTDOWN_GRACE_MS: '300', WEBHOOK_TIMEOUT_MS: '3000' },
  });
  await using receiver = await openHttpReceiver();
  const { id } = await yard.endpoint(receiver.url);
  receiver.answer(undefined);
  await yard.addWorker();
  await yard.render('a fox');
  await yard.until('it is on its way', () => receiver.received.length === 1);
  await yard.stopWorkers();
  const [after] = await yard.deliveries(id);
  expect(after).toMatchObject({ status: 'pending', attempts: [] });
  expect(await yard.redis.hexists(`${yard.prefix}hook:${id}`, 'failing')).toBe(0);
  expect(await yard.redis.zcard(`${yard.prefix}leases`)).toBe(1);

  receiver.answer(200);
  await yard.addWorker();
  await yard.until('another has sent it', async () => (await yard.deliveries(id))[0]?.status === 'succeeded', 30_000);
  expect((await yard.deliveries(id))[0].attempts).toMatchObject([{ status: 200 }]);
  expect([receiver.received.length, receiver.ids.size]).toEqual([2, 1]);
}, 60_000);

test('a relay that is stopped leaves what it has read to others', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  const composing = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const relay = createRelay({
    ...{
      redis: yard.redis,
      connect: () => yard.redis.duplicate(),
      prefix: yard.prefix,
      worker: 'wrk_1',
      webhooks: yard.webhooks,
      firstWaitMs: 0,
    },
    ...{
      clock: systemClock,
      logger: { warn: () => undefined } as never,
    },
    onMade: () => undefined,
    onError: () => Promise.resolve(),
    compose: async () => {
      begun.resolve();
      await composing.promise;
      throw new Error('The process ends.');
    },
  });
  await using receiver = await openHttpReceiver();
  await yard.endpoint(receiver.url);
  const job = await yard.render('a fox');
  await yard.post(`/v1/jobs/${job}/cancel`);
  relay.start();
  await begun.promise;
  const stopping = relay.stop();
  composing.resolve();
  await stopping;
  expect(await yard.redis.xlen(`${yard.prefix}outbox`)).toBe(1);
  await yard.addWorker();
  await yard.until('another has told it', () => receiver.received.length === 1);
}, 60_000);
