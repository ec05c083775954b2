import { deliveryId } from '@renderyard/shared/webhook/delivery';
import { expect, test } from 'vitest';
import { type HttpReceiver, openHttpReceiver, type Received, verified } from './http-receiver.ts';
import { openTellingYard, type Yard } from './telling.ts';

const FILTER = 'job.succeeded,job.failed,batch.completed,batch.canceled,batch.paused';
const typesOf = (received: readonly Received[]) => received.map(({ json }) => String(json.type)).sort();
const about = ({ id, json }: Received) => `${json.type} ${json.data.id ?? json.data.cause} ${id}`;

/** Work of every kind that has an end. */
async function everything(yard: Yard): Promise<void> {
  await yard.upstream.fault({ match: { prompt: 'odd' }, effect: { kind: 'status', status: 400 } });
  const jobs = [await yard.render('a fox'), await yard.render('odd')];
  const rows = await yard.upload(['one', 'odd', 'three'], { webhook_events_filter: FILTER });
  const silent = await yard.upload(['four']);
  for (const id of [...jobs, rows, silent]) await yard.ended(id);
  expect((await yard.post(`/v1/batches/${rows}/retry`)).status).toBeLessThan(300);
  await yard.ended(rows);
  const [, failed = ''] = jobs;
  await yard.upstream.clearFaults();
  await yard.post(`/v1/jobs/${failed}/retry`);
  await yard.ended(failed);
  expect((await yard.post('/v1/credits/hold', { detail: 'Wait.' })).status).toBeLessThan(300);
  const canceled = await yard.render('never');
  await yard.post(`/v1/jobs/${canceled}/cancel`);
  const held = await yard.upload(['five', 'six'], { webhook_events_filter: FILTER });
  expect((await yard.post(`/v1/batches/${held}/pause`, {})).status).toBeLessThan(300);
  const gone = await yard.upload(['seven']);
  await yard.post(`/v1/batches/${gone}/cancel`, {});
  await yard.ended(gone);
  expect((await yard.post('/v1/credits/resume', {})).status).toBeLessThan(300);
}

/** What can be told again: the last end of each, not how far a batch was, and not what was retried since. */
function recoverable(received: readonly Received[]): string[] {
  const last = new Map<string, Received>();
  for (const one of received) {
    const { type, data } = one.json;
    const kind = type.startsWith('credits.') ? one.id : type === 'batch.paused' ? `paused ${data.id}` : data.id;
    const known = last.get(kind);
    if (known === undefined || known.json.timestamp <= one.json.timestamp) last.set(kind, one);
  }
  return [...last.values()].map(about).sort();
}

test('an endpoint that was disabled hears what it has missed, under the ids that the others have heard', async () => {
  await using yard = await openTellingYard({ workers: 2, env: { RENDER_ATTEMPTS: '1' } });
  await using steady = await openHttpReceiver();
  await using away = await openHttpReceiver();
  const { secret: steadySecret } = await yard.endpoint(steady.url);
  const { id, secret } = await yard.endpoint(away.url);
  const before = await yard.render('before');
  await yard.until('both have heard', () => steady.received.length === 1 && away.received.length === 1);
  const since = Date.now();
  await yard.change(id, { state: 'disabled' });
  await everything(yard);
  const finished = () => typesOf(steady.received).filter((type) => type.startsWith('batch.c')).length >= 4;
  await yard.until('the other has heard', finished);
  await yard.untilQuiet();
  expect(away.received).toHaveLength(1);
  expect((await yard.get(`/v1/webhooks/${id}`)).json.missed_since).not.toBeNull();

  await yard.change(id, { state: 'enabled', recover_since: new Date(since).toISOString() });
  const missed = steady.received.filter(({ json }) => json.data.id !== before);
  await yard.until('it has caught up', () => away.received.length > recoverable(missed).length);
  await yard.untilQuiet();
  expect(away.received.map(about).sort()).toEqual([...recoverable(missed), about(away.received[0] as Received)].sort());
  expect(new Set(typesOf(away.received))).toEqual(
    new Set([...['job.succeeded', 'job.failed', 'job.canceled', 'batch.completed', 'batch.canceled', 'batch.paused']]),
  );
  // The same happening, told with the same words.
  for (const one of away.received) {
    const told = verified(secret, one);
    const then = steady.received.find((each) => each.id === one.id);
    if (then === undefined) throw new Error(`Nobody else has heard of ${about(one)}.`);
    const original = verified(steadySecret, then);
    expect(told.timestamp).toBe(original.timestamp);
    if (told.type.startsWith('job.')) expect(told).toEqual(original);
  }
  expect((await yard.get(`/v1/webhooks/${id}`)).json.missed_since).toBeNull();

  // Read once more from the same time on, nothing of what was delivered is sent again, to either.
  const heard = [steady.received.length, away.received.length];
  for (const { id: each } of (await yard.get('/v1/webhooks')).json.data)
    await yard.webhooks.requestCatchUp(each, 'default', since - 5000);
  await yard.untilQuiet();
  expect([steady.received.length, away.received.length]).toEqual(heard);
}, 90_000);

test('a batch whose last row ended before its endpoint was disabled, and which was told of after, is not missed', async () => {
  await using yard = await openTellingYard();
  await using away = await openHttpReceiver();
  const { id } = await yard.endpoint(away.url, ['batch.completed']);
  await yard.change(id, { state: 'disabled' });
  const batch = await yard.upload(['one', 'two']);
  await yard.ended(batch);
  const key = `${yard.prefix}batch:${batch}`;
  const [ended, told] = (await yard.redis.hmget(key, 'ended_at', 'told_at')).map(Number);
  expect(told).toBeGreaterThan(Number(ended));
  await yard.redis.hset(`${yard.prefix}hook:${id}`, 'missed_since', Number(ended) + 1);
  await yard.change(id, { state: 'enabled', recover: true });
  await yard.until('it was told', () => away.received.length === 1);
  expect(away.received[0]?.json).toMatchObject({ type: 'batch.completed', data: { id: batch } });

  // A batch of which only the store knows any more.
  await yard.redis.del(key, `${yard.prefix}dlvs:default`);
  for (const { id: each } of await yard.webhooks.list('default', { receiver: id, limit: 9 }))
    await yard.redis.del(`${yard.prefix}dlv:${each}`);
  await yard.webhooks.requestCatchUp(id, 'default', Number(ended) + 1);
  await yard.until('it was told again', () => away.received.length === 2);
  expect(away.ids.size).toBe(1);
}, 60_000);

/** Deliveries that wait for an endpoint, cheaply. */
async function fill(yard: Yard, receiver: string, count: number): Promise<void> {
  const at = Date.now();
  for (let from = 0; from < count; from += 500) {
    const some = Array.from({ length: Math.min(500, count - from) }, (_, i) => {
      const event = { id: `evt_fill${from + i}`, at };
      return {
        ...{
          id: deliveryId(event, { webhook: receiver }, 'default'),
          event: event.id,
          type: 'job.failed' as const,
          at,
        },
        ...{ account: 'default', receiver, url: undefined, jobId: undefined, batchId: undefined, body: '{"data":{}}' },
      };
    });
    expect((await yard.webhooks.make(some, { waitMs: 3_600_000 })).made).toBe(some.length);
  }
  expect(await yard.redis.zcard(`${yard.prefix}dq:${receiver}`)).toBe(count);
}

/** Everything that waits is gone, as if it had been sent. */
async function drain(yard: Yard, receiver: string, leave: number): Promise<void> {
  for (;;) {
    const ids = await yard.redis.zrange(`${yard.prefix}dq:${receiver}`, '0', '499');
    const some = ids.filter((id) => id.startsWith('dlv_'));
    const waiting = await yard.redis.zcard(`${yard.prefix}dq:${receiver}`);
    if (waiting <= leave || some.length === 0) return;
    await yard.redis.zrem(`${yard.prefix}dq:${receiver}`, ...some);
  }
}

test('what finds no place beside 10,000 that wait is told once half of them have gone, without being asked for', async () => {
  await using yard = await openTellingYard();
  await using receiver = await openHttpReceiver();
  await using steady = await openHttpReceiver();
  const { id } = await yard.endpoint(receiver.url);
  await yard.endpoint(steady.url);
  await fill(yard, id, 10_000);
  const jobs = [await yard.render('one'), await yard.render('two')];
  const batch = await yard.upload(['three'], { webhook_events_filter: 'job.succeeded,batch.completed' });
  for (const each of [...jobs, batch]) await yard.ended(each);
  await yard.until('the other has heard', () => steady.received.length === 4);
  await yard.until('the outbox is empty', async () => (await yard.redis.xlen(`${yard.prefix}outbox`)) === 0);
  // Nobody is given it to read, and what waits for it is not due within the test.
  expect(await yard.webhooks.takeCatchUp(1)).toBeUndefined();
  expect(receiver.received).toEqual([]);
  expect((await yard.get(`/v1/webhooks/${id}`)).json).toMatchObject({
    waiting: 10_000,
    missed_since: expect.any(String),
  });

  await drain(yard, id, 6000);
  expect(await yard.webhooks.takeCatchUp(1)).toBeUndefined();
  expect(receiver.received).toEqual([]);
  await drain(yard, id, 4000);
  await yard.until('it has heard', () => receiver.received.length === 4);
  await yard.untilQuiet(id);
  expect(receiver.received.map(about).sort()).toEqual(steady.received.map(about).sort());
  expect((await yard.get(`/v1/webhooks/${id}`)).json.missed_since).toBeNull();
}, 60_000);

/** Jobs that were canceled while nobody worked, and an endpoint that has missed them. */
async function missedJobs(yard: Yard, receiver: HttpReceiver, count: number): Promise<{ id: string; jobs: string[] }> {
  const { id } = await yard.endpoint(receiver.url);
  await yard.change(id, { state: 'disabled' });
  const jobs: string[] = [];
  for (let i = 0; i < count; i++) jobs.push(await yard.render(`picture ${i}`));
  for (const job of jobs) await yard.post(`/v1/jobs/${job}/cancel`);
  await yard.change(id, { state: 'enabled', recover: true });
  return { id, jobs };
}

test('it goes on from where a worker died, and two workers do not do it twice', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  await using receiver = await openHttpReceiver();
  const { id, jobs } = await missedJobs(yard, receiver, 30);
  // A worker took it, got as far as the tenth, and died.
  const task = await yard.webhooks.takeCatchUp(60_000);
  expect(task).toMatchObject({ receiver: id, account: 'default', events: '*' });
  if (task === undefined) throw new Error('There was nothing to catch up on.');
  expect(task.cursor).toBeUndefined();
  expect(await yard.webhooks.takeCatchUp(60_000)).toBeUndefined();
  const ended = await yard.redis.zrange(`${yard.prefix}ended`, '0', '-1', 'WITHSCORES');
  const [score, seen] = [ended[19], ended.slice(0, 20).filter((each) => each === ended[19]).length];
  await yard.webhooks.keepCatchUp(task, `jobs ${score},${seen}`, 500);

  await Promise.all([yard.addWorker(), yard.addWorker()]);
  await yard.until('it has heard of the rest', () => receiver.received.length >= 20);
  await yard.untilQuiet();
  expect(receiver.received).toHaveLength(20);
  const heard = receiver.received.map(({ json }) => json.data.id);
  const rest = ended.filter((_, i) => i >= 20 && i % 2 === 0);
  expect(heard.sort()).toEqual(rest.sort());
  expect(jobs).toEqual(expect.arrayContaining(heard));
}, 60_000);

test('many who have something to catch up on do not wait a second for each other', async () => {
  await using yard = await openTellingYard({ workers: 0 });
  for (let i = 0; i < 40; i++) await yard.webhooks.requestCatchUp(`url_${i}`, 'default', Date.now());
  await yard.addWorker();
  // A worker looks about once a second.
  await yard.until('all have caught up', async () => (await yard.redis.scard(`${yard.prefix}missed`)) === 0, 15_000);
}, 60_000);

test('the record says what is missing until all of it was found', async () => {
  await using yard = await openTellingYard();
  await using away = await openHttpReceiver();
  const { id } = await yard.endpoint(away.url, ['job.canceled']);
  const { redis, prefix } = yard;
  await redis.hset(`${prefix}catch-up:${id}`, { from: '1795000000000', until: '1795000001000' });
  await redis.set(`${prefix}catching-up:${id}`, 1);
  expect((await yard.get(`/v1/webhooks/${id}`)).json.missed_since).toBe(new Date(1_795_000_000_000).toISOString());
  await redis.sadd(`${prefix}missed`, id);
  await redis.del(`${prefix}catching-up:${id}`);
  await yard.untilQuiet();
  expect((await yard.get(`/v1/webhooks/${id}`)).json.missed_since).toBeNull();
});
