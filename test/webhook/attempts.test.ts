import { createEndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { expect, test } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { openHttpReceiver, verified } from './http-receiver.ts';
import { openTellingYard } from './telling.ts';

const typesAt = (received: readonly { readonly json: { readonly type: string } }[]) =>
  received.map(({ json }) => json.type);

test('500 and then 200: the same event again, each attempt with its own time and signature', async () => {
  await using yard = await openTellingYard();
  await using receiver = await openHttpReceiver();
  const { id, secret } = await yard.endpoint(receiver.url);
  receiver.answer((_, response) => {
    if (receiver.received.length > 1) return 200;
    response.statusCode = 500;
    response.end('\u0007not <yet>');
    return undefined as never;
  });
  await yard.render('a fox');
  await yard.until('it succeeds', async () => (await yard.deliveries(id))[0]?.status === 'succeeded');

  const [first, second] = receiver.received;
  if (first === undefined || second === undefined) throw new Error('There were two attempts.');
  expect(receiver.received).toHaveLength(2);
  expect([second.id, second.body]).toEqual([first.id, first.body]);
  for (const one of [first, second]) verified(secret, one);
  const stamp = (one: typeof first) => Number(one.headers['webhook-timestamp']);
  expect(stamp(second)).toBeGreaterThan(stamp(first));
  expect(second.headers['webhook-signature']).not.toBe(first.headers['webhook-signature']);
  // The schedule says a second and up to a tenth more.
  expect(second.at - first.at).toBeGreaterThanOrEqual(1000);
  const [{ attempts }] = await yard.deliveries(id);
  expect(attempts).toMatchObject([{ status: 500 }, { status: 200 }]);
  expect(attempts[0].answer).toContain('not <yet>');
  expect(attempts[0].answer).not.toContain('\u0007');
}, 60_000);

test('a redirect is not followed, and a delivery is given up after the last attempt of the schedule', async () => {
  await using yard = await openTellingYard();
  await using elsewhere = await openHttpReceiver();
  await using receiver = await openHttpReceiver();
  const { id } = await yard.endpoint(receiver.url);
  receiver.answer((_, response) => {
    response.writeHead(307, { location: elsewhere.url }).end();
    return undefined as never;
  });
  await yard.render('a fox');
  await yard.until('it has failed', async () => (await yard.deliveries(id))[0]?.status === 'failed');
  expect((await yard.deliveries(id))[0].attempts.map(({ status }: { status: number }) => status)).toEqual([
    ...[307, 307, 307],
  ]);
  expect([receiver.received.length, elsewhere.received.length]).toEqual([3, 0]);
  expect(yard.workerLogs.filter(({ msg }) => String(msg).includes('given up'))).toHaveLength(1);
}, 60_000);

test('410 disables an endpoint at once, which others are told of and a rebuilt Redis still knows', async () => {
  await using redis = await startRedisInstance();
  await using yard = await openTellingYard({ redisUrl: redis.url });
  await using gone = await openHttpReceiver();
  await using other = await openHttpReceiver();
  const { id } = await yard.endpoint(gone.url);
  const { secret } = await yard.endpoint(other.url, ['endpoint.disabled']);
  gone.answer(410);
  await yard.render('a fox');
  await yard.until('the other has heard', () => other.received.length === 1);
  const told = other.received.map((one) => verified(secret, one));
  expect(told).toMatchObject([{ type: 'endpoint.disabled', data: { id, url: gone.url, reason: 'gone' } }]);
  expect((await yard.get(`/v1/webhooks/${id}`)).json).toMatchObject({
    state: 'disabled',
    disabled: { reason: 'gone' },
  });
  await yard.render('an owl');

  const decisions = createEndpointDecisions({ store: yard.store, logger: { error: () => undefined } as never });
  const stored = async () => (await decisions.last('default'))?.endpoints.find((each) => each.id === id);
  await yard.until('the store knows', async () => (await stored())?.state === 'disabled');
  expect(await yard.redis.scard(`${yard.prefix}undecided-hooks`)).toBe(0);
  const { since } = (await stored())?.disabled ?? {};
  expect(new Date(since ?? 0).toISOString()).toBe(told[0]?.timestamp);

  await yard.redis.flushall();
  await yard.until('Redis is rebuilt', async () => (await yard.get(`/v1/webhooks/${id}`)).status === 200);
  await yard.until('Redis knows', async () => (await yard.redis.hget(`${yard.prefix}hook:${id}`, 'state')) !== null);
  expect(await yard.redis.hmget(`${yard.prefix}hook:${id}`, 'state', 'reason', 'disabled_at')).toEqual([
    ...['disabled', 'gone', String(since)],
  ]);
  expect(await yard.redis.hexists(`${yard.prefix}hooks:default`, id)).toBe(0);
  let bear = '';
  await yard.until('jobs are taken again', async () => {
    bear = await yard.render('a bear').catch(() => '');
    return bear !== '';
  });
  await yard.ended(bear);
  await yard.untilQuiet();
  expect(gone.received).toHaveLength(1);
}, 60_000);

test('410 is kept in the store also where Redis knows of later decisions than the store does', async () => {
  await using yard = await openTellingYard();
  await using gone = await openHttpReceiver();
  const { id } = await yard.endpoint(gone.url);
  gone.answer(410);
  // As if it had been used with another store.
  await yard.redis.hset(`${yard.prefix}endpoints:default`, 'seq', 50);
  await yard.render('a fox');
  const undecided = () => yard.redis.scard(`${yard.prefix}undecided-hooks`);
  const state = () => yard.redis.hget(`${yard.prefix}hook:${id}`, 'state');
  await yard.until(
    'it is disabled, and decided',
    async () => (await state()) === 'disabled' && (await undecided()) === 0,
  );
  const decisions = createEndpointDecisions({ store: yard.store, logger: { error: () => undefined } as never });
  expect(await decisions.last('default')).toMatchObject({ seq: 51, endpoints: [{ id, state: 'disabled' }] });
}, 60_000);

test('what Retry-After asks for is waited for, of 429 and 503 alone, and no longer than a day', async () => {
  await using yard = await openTellingYard({ env: { WEBHOOK_SCHEDULE_S: '0,0,0' } });
  await using receiver = await openHttpReceiver();
  const { id } = await yard.endpoint(receiver.url);
  const answers = [
    [503, '2'],
    [500, '3600'],
    [429, '9999999'],
  ] as const;
  receiver.answer((_, response) => {
    const [status, wait] = answers[receiver.received.length - 1] ?? [200, ''];
    response.writeHead(status, { 'retry-after': wait }).end();
    return undefined as never;
  });
  await yard.render('a fox');
  await yard.until('it was given up', async () => (await yard.deliveries(id))[0]?.status === 'failed');
  const [a, b, c] = receiver.received.map(({ at }) => at);
  expect(Number(b) - Number(a)).toBeGreaterThanOrEqual(2000);
  expect(Number(c) - Number(b)).toBeLessThan(2000);

  await using patient = await openHttpReceiver();
  await using later = await openTellingYard({ env: { WEBHOOK_SCHEDULE_S: '0,1' } });
  const { id: asked } = await later.endpoint(patient.url);
  patient.answer((_, response) => {
    response.writeHead(429, { 'retry-after': '9999999' }).end();
    return undefined as never;
  });
  await later.render('a fox');
  await later.until('it was tried', async () => (await later.deliveries(asked))[0]?.attempts?.length === 1);
  const [delivery] = await later.webhooks.list('default', { limit: 1 });
  const wait = Number(delivery?.nextAt) - Number(delivery?.attempts[0]?.at);
  expect(wait).toBeGreaterThanOrEqual(86_400_000);
  expect(wait).toBeLessThan(86_400_000 + 5000);
}, 60_000);

test('who does not answer in time holds up neither another receiver nor the renders', async () => {
  await using yard = await openTellingYard({ env: { WEBHOOK_TIMEOUT_MS: '1000' } });
  await using hung = await openHttpReceiver();
  await using well = await openHttpReceiver();
  hung.answer(undefined);
  const { id } = await yard.endpoint(hung.url);
  await yard.endpoint(well.url);
  const jobs = await Promise.all(Array.from({ length: 12 }, (_, i) => yard.render(`picture ${i}`)));
  for (const job of jobs) await yard.ended(job);
  await yard.until('the healthy one has heard of all', () => well.received.length === jobs.length, 5000);
  expect(well.ids.size).toBe(jobs.length);
  await yard.until('an attempt was given up', async () => {
    const deliveries = await yard.deliveries(id);
    return deliveries.some(({ attempts }: { attempts: { error: string }[] }) => attempts[0]?.error === 'timeout');
  });
  const timed = (await yard.deliveries(id)).flatMap(({ attempts }: { attempts: object[] }) => attempts);
  for (const { error, status, duration_ms: ms } of timed) {
    expect([error, status]).toEqual(['timeout', null]);
    expect(ms).toBeGreaterThanOrEqual(990);
    expect(ms).toBeLessThan(3000);
  }
}, 60_000);

test('of a long answer 64 kB are read, and it counts for what its status says', async () => {
  await using yard = await openTellingYard({ env: { WEBHOOK_TIMEOUT_MS: '5000' } });
  await using receiver = await openHttpReceiver();
  let written = 0;
  let cut = false;
  receiver.answer((_, response) => {
    response.writeHead(202);
    response.on('close', () => {
      cut = true;
    });
    const chunk = Buffer.alloc(16_384, 'x');
    // Never ends by itself.
    const more = () => {
      while (!cut && response.write(chunk)) written += chunk.length;
      if (!cut) response.once('drain', more);
    };
    more();
    return undefined as never;
  });
  const { id } = await yard.endpoint(receiver.url);
  await yard.render('a fox');
  await yard.until('it succeeds', async () => (await yard.deliveries(id))[0]?.status === 'succeeded');
  await yard.until('the connection was cut', () => cut);
  const [{ attempts }] = await yard.deliveries(id);
  expect(attempts).toMatchObject([{ status: 202, error: null }]);
  expect(attempts[0].answer.length).toBeLessThanOrEqual(500);
  expect(typesAt(receiver.received)).toEqual(['job.succeeded']);
  expect(written).toBeLessThan(16 * 1024 * 1024);
}, 60_000);
