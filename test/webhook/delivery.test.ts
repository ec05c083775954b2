import { sealSecret } from '@renderyard/shared/webhook/sealed-secret';
import { expect, test } from 'vitest';
import { openHttpReceiver, type Received, verified } from './http-receiver.ts';
import { openTellingYard } from './telling.ts';

const ids = (received: readonly { readonly id: string }[]) => received.map(({ id }) => id);
const types = (received: readonly { readonly json: { readonly type: string } }[]) =>
  received.map(({ json }) => json.type).sort();

test('a job tells its own webhook and every endpoint that hears its type, once each, as a GET shows it', async () => {
  await using yard = await openTellingYard();
  await using own = await openHttpReceiver();
  await using all = await openHttpReceiver();
  await using deaf = await openHttpReceiver();
  const { id, secret } = await yard.endpoint(all.url);
  await yard.endpoint(deaf.url, ['job.failed', 'batch.completed']);
  const { secret: ownSecret } = (await yard.get('/v1/webhooks/default/secret')).json;
  const seen: unknown[] = [];
  own.answer(async ({ json }: Received) => {
    seen.push((await yard.get(`/v1/jobs/${json.data.id}`)).json);
    return 204;
  });

  const job = await yard.render('a fox', { webhook: own.url, metadata: { order: '7' } });
  await yard.until('both have heard', () => own.received.length > 0 && all.received.length > 0);
  await yard.untilQuiet();

  const shown = (await yard.get(`/v1/jobs/${job}`)).json;
  expect(shown).toMatchObject({ status: 'succeeded', metadata: { order: '7' } });
  expect(seen).toEqual([shown]);
  expect([own.received.length, all.received.length, deaf.received.length]).toEqual([1, 1, 0]);
  for (const [receiver, key] of [
    [own, ownSecret],
    [all, secret],
  ] as const) {
    const [one] = receiver.received;
    if (one === undefined) throw new Error('It has heard nothing.');
    expect(verified(key, one)).toEqual({ type: 'job.succeeded', timestamp: shown.ended_at, data: shown });
    expect(one.headers['content-type']).toBe('application/json');
  }
  // One event, whoever hears of it; and neither's secret is the other's.
  expect(ids(own.received)).toEqual(ids(all.received));
  expect(() => own.received.map((one) => verified(secret, one))).toThrow();
  expect(await yard.deliveries(id)).toMatchObject([
    { status: 'succeeded', event: { type: 'job.succeeded' }, attempts: [{ status: 200, error: null }] },
  ]);
  expect(await yard.redis.xlen(`${yard.prefix}outbox`)).toBe(0);
}, 60_000);

test('a job that fails and is retried tells each end, under an id of its own', async () => {
  await using yard = await openTellingYard();
  await using own = await openHttpReceiver();
  await yard.upstream.fault({ times: 1, effect: { kind: 'status', status: 400 } });
  const job = await yard.render('a fox', { webhook: own.url });
  await yard.until('the first end was told', () => own.received.length === 1);
  expect(types(own.received)).toEqual(['job.failed']);
  await yard.post(`/v1/jobs/${job}/retry`);
  await yard.until('the second end was told', () => own.received.length === 2);
  expect(types(own.received)).toEqual(['job.failed', 'job.succeeded']);
  expect(own.ids.size).toBe(2);
}, 60_000);

test('a batch tells how far it is and that it has completed, with counts and links; of its rows nothing', async () => {
  await using yard = await openTellingYard({ env: { SEGMIND_CONCURRENCY: '1' }, simulator: { latencyMs: 150 } });
  await using own = await openHttpReceiver();
  await using all = await openHttpReceiver();
  const { secret } = await yard.endpoint(all.url);
  const batch = await yard.upload(
    Array.from({ length: 12 }, (_, i) => `picture ${i}`),
    { webhook: own.url },
  );
  // As if it had begun a while ago: progress is told every ten seconds at most.
  await yard.redis.hset(`${yard.prefix}batch:${batch}`, 'created_at', Date.now() - 60_000);
  const shown = await yard.ended(batch);
  await yard.until('it was told', () => [own, all].every((each) => types(each.received).includes('batch.completed')));
  await yard.untilQuiet();

  expect(types(own.received)).toEqual(['batch.completed', 'batch.progress']);
  expect(ids(own.received).sort()).toEqual(ids(all.received).sort());
  const told = all.received.map((one) => verified(secret, one));
  const completed = told.find(({ type }) => type === 'batch.completed');
  expect(completed?.data).toMatchObject({
    id: batch,
    status: 'completed',
    counts: { total: 12, succeeded: 12, failed: 0 },
    cost: shown.cost,
    urls: shown.urls,
  });
  // The upstream may have told its balance in between, without what is finer than a nanocredit.
  const balance = expect.closeTo(shown.estimate.balance, 6);
  const estimate = { ...shown.estimate, balance, left: balance };
  expect({ ...completed?.data, created_at: 0 }).toEqual({ ...shown, created_at: 0, estimate });
  const progress = told.find(({ type }) => type === 'batch.progress')?.data as { counts: { succeeded: number } };
  expect(progress.counts.succeeded).toBeGreaterThan(0);
  expect(progress.counts.succeeded).toBeLessThan(12);
}, 60_000);

test('rows tell of themselves where their batch asks for it by name, to its webhook and to endpoints', async () => {
  await using yard = await openTellingYard({ workers: 2 });
  await using own = await openHttpReceiver();
  await using all = await openHttpReceiver();
  const { secret } = await yard.endpoint(all.url);
  const batch = await yard.upload(['one', 'two', 'three'], {
    webhook: own.url,
    webhook_events_filter: 'job.succeeded,batch.completed',
  });
  const silent = await yard.upload(['four']);
  await Promise.all([yard.ended(batch), yard.ended(silent)]);
  await yard.until('all was told', () => own.received.length >= 4 && all.received.length >= 5);
  await yard.untilQuiet();

  expect(types(own.received)).toEqual(['batch.completed', 'job.succeeded', 'job.succeeded', 'job.succeeded']);
  expect(types(all.received)).toEqual([
    ...['batch.completed', 'batch.completed', 'job.succeeded', 'job.succeeded', 'job.succeeded'],
  ]);
  const rows = all.received.map((one) => verified(secret, one)).filter(({ type }) => type === 'job.succeeded');
  const shown = (await yard.get(`/v1/batches/${batch}/rows?limit=10`)).json.data;
  expect(rows.map(({ data }) => (data as { input: { prompt: string } }).input.prompt).sort()).toEqual([
    ...['one', 'three', 'two'],
  ]);
  for (const { data } of rows) {
    const row = shown.find((each: { id: string }) => each.id === data.id);
    expect({ status: data.status, output: data.output, cost: data.cost }).toEqual({
      ...{ status: row.status, output: row.output, cost: row.cost },
    });
    expect((await yard.get(`/v1/jobs/${data.id}`)).json).toEqual(data);
  }
}, 60_000);

test('after a rotation both secrets verify, until the old one expires', async () => {
  await using yard = await openTellingYard();
  await using receiver = await openHttpReceiver();
  const { id, secret } = await yard.endpoint(receiver.url);
  const rotated = await yard.post(`/v1/webhooks/${id}/rotate-secret`, {});
  expect(rotated.status).toBeLessThan(300);
  await yard.render('a fox');
  await yard.until('it has heard', () => receiver.received.length === 1);
  const next = rotated.json.secret;
  for (const [key, one] of [secret, next].flatMap((known) => receiver.received.map((each) => [known, each] as const)))
    expect(verified(key, one)).toMatchObject({ type: 'job.succeeded' });
  expect(String(receiver.received[0]?.headers['webhook-signature']).split(' ')).toHaveLength(2);

  await yard.post(`/v1/webhooks/${id}/rotate-secret`, { overlap_hours: 0 });
  await yard.render('an owl');
  await yard.until('it has heard of the second', () => receiver.received.length === 2);
  const [, second] = receiver.received;
  expect(() => second && verified(next, second)).toThrow();
}, 60_000);

test('a secret that another SECRET_KEY has sealed fails the attempt, and what it failed is sent once it is rotated', async () => {
  await using yard = await openTellingYard({ env: { WEBHOOK_SCHEDULE_S: '0,1,1,1,1,1,1,1,1' } });
  await using receiver = await openHttpReceiver();
  const { id } = await yard.endpoint(receiver.url);
  const sealed = sealSecret(`whsec_${Buffer.alloc(32, 7).toString('base64')}`, {
    secretKey: Buffer.alloc(32, 9),
    endpointId: id,
  });
  const secrets = JSON.stringify([{ sealed, request: 'r', created_at: 1, expires_at: null }]);
  await yard.redis.hset(`${yard.prefix}hook:${id}`, 'secrets', secrets);
  await yard.render('a fox');
  await yard.until(
    'an attempt has failed',
    async () => (await yard.deliveries(id))[0]?.attempts?.[0]?.error === 'secret_unreadable',
  );
  expect(receiver.received).toEqual([]);
  expect((await yard.deliveries(id))[0].status).toBe('pending');

  const { secret } = (await yard.post(`/v1/webhooks/${id}/rotate-secret`, {})).json;
  await yard.until('it has arrived', () => receiver.received.length === 1);
  expect(receiver.received.map((one) => verified(secret, one).type)).toEqual(['job.succeeded']);
}, 60_000);
