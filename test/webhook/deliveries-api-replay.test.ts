import { replayOne } from '@renderyard/api/deliveries/replay-one';
import { newId } from '@renderyard/shared/ids';
import type { Addressee } from '@renderyard/shared/webhook/event';
import { expect, test } from 'vitest';
import { ANN, BOB, openDeliveryLog } from './delivery-log.ts';

const OWN = { url: 'https://own.example/hook' };
const rfc3339 = (ms: number) => new Date(ms).toISOString();

test('an ended delivery is pending again, and is taken again with its attempts before', async () => {
  await using log = await openDeliveryLog();
  for (const verdict of ['ok', 'failed'] as const) {
    const [id = ''] = await log.make({ to: OWN });
    expect(await log.endAll(verdict, { status: 200 })).toEqual([id]);
    const { status, json, headers } = await log.post(`/v1/deliveries/${id}/replay`, undefined, ANN);
    expect(status).toBe(202);
    expect(headers.get('location')).toBe(json.urls.self);
    expect(json).toMatchObject({
      id,
      status: 'pending',
      sending: false,
      attempt_count: 0,
      attempts: [{ status: 200 }],
    });
    expect(json.next_attempt_at).not.toBeNull();
    expect(json).not.toHaveProperty('body');
    expect(await log.endAll('ok')).toEqual([id]);
    expect((await log.get(`/v1/deliveries/${id}`, ANN)).json).toMatchObject({
      ...{ status: 'succeeded', attempt_count: 1 },
      attempts: [{}, {}],
    });
  }
});

test('one that waits for its next attempt is sent at once', async () => {
  await using log = await openDeliveryLog();
  const [id = ''] = await log.make({ to: OWN });
  const { lease, url } = await log.takeOne();
  await log.store.record({ id, lease, url, attempt: { at: 1, ms: 1 }, verdict: 'failed', waitMs: 3_600_000 });
  expect(await log.endAll('ok')).toEqual([]);
  expect((await log.post(`/v1/deliveries/${id}/replay`, {}, ANN)).status).toBe(202);
  expect(await log.endAll('ok')).toEqual([id]);
});

test('one that is on its way, or has nowhere to go, is not replayed, and it is said why', async () => {
  await using log = await openDeliveryLog();
  const webhook = newId('whk');
  await log.setEndpoints({ [webhook]: 'enabled' });
  const [id = ''] = await log.make({ to: { webhook } });
  const replay = () => log.post(`/v1/deliveries/${id}/replay`, undefined, ANN);
  const { lease, url } = await log.takeOne();
  expect(await replay()).toMatchObject({ status: 409, json: { code: 'delivery_sending' } });
  const attempt = { at: Date.now(), ms: 1, error: 'unreachable' } as const;
  await log.store.record({ id, lease, url, attempt, verdict: 'failed', waitMs: undefined });

  await log.redis.zadd(
    `${log.prefix}dq:${webhook}`,
    ...Array.from({ length: 10_000 }, (_, i) => [1e15, `dlv_${i}`]).flat(),
  );
  expect(await replay()).toMatchObject({ status: 409, json: { code: 'webhook_queue_full' } });
  await log.redis.del(`${log.prefix}dq:${webhook}`);

  await log.setEndpoints({ [webhook]: 'disabled' });
  expect(await replay()).toMatchObject({
    status: 409,
    json: { code: 'webhook_disabled', detail: expect.stringContaining(`${webhook} is disabled (by_hand)`) },
  });
  await log.setEndpoints({});
  expect(await replay()).toMatchObject({
    status: 409,
    json: { code: 'webhook_deleted', detail: expect.stringContaining(webhook) },
  });
  expect((await log.store.get(id))?.status).toBe('failed');
});

test('a replay under an Idempotency-Key is made once', async () => {
  await using log = await openDeliveryLog();
  const [id = ''] = await log.make({ to: OWN });
  await log.endAll('failed');
  const key = { ...ANN, 'idempotency-key': 'again-1' };
  const first = await log.post(`/v1/deliveries/${id}/replay`, undefined, key);
  expect(await log.endAll('ok')).toEqual([id]);
  const second = await log.post(`/v1/deliveries/${id}/replay`, undefined, key);
  expect(second.status).toBe(202);
  expect(second.headers.get('idempotency-replayed')).toBe('true');
  expect(second.json).toEqual(first.json);
  expect(await log.endAll('ok')).toEqual([]);

  const [other] = await log.make({ to: OWN });
  await log.endAll('failed');
  const all = { since: rfc3339(Date.now() - 60_000) };
  const many = { ...ANN, 'idempotency-key': 'again-2' };
  for (let time = 0; time < 2; time++) {
    const { json } = await log.post('/v1/deliveries/replay', all, many);
    expect(json).toEqual({ object: 'replay', replayed: 1, skipped: 0 });
    expect(await log.endAll('failed')).toEqual(time === 0 ? [other] : []);
  }
});

test('a replay that broke off after it was made is taken up again, also while the delivery is on its way', async () => {
  await using log = await openDeliveryLog();
  const [id = ''] = await log.make({ to: OWN });
  await log.endAll('failed');
  expect(await log.store.replay('ann', [id])).toEqual([id]);
  await log.takeOne();
  const asked = { id, account: 'ann' };
  await expect(replayOne(log.store, { ...asked, again: false })).rejects.toMatchObject({ code: 'delivery_sending' });
  expect(await replayOne(log.store, { ...asked, again: true })).toMatchObject({ id, status: 'pending' });
});

test('all 1,200 that failed since a time are replayed, but for those of webhooks disabled or deleted', async () => {
  await using log = await openDeliveryLog();
  const [disabled, deleted] = [newId('whk'), newId('whk')];
  const open = Array.from({ length: 18 }, () => newId('whk'));
  const enabled = Object.fromEntries(open.map((id) => [id, 'enabled'] as const));
  await log.setEndpoints({ ...enabled, [disabled]: 'enabled', [deleted]: 'enabled' });
  const since = Date.now() - 3_600_000;
  // Ten at a time have the same time, so that the 500 of one step end among equal ones; and there are many receivers, as
  // one that fails is sent one at a time.
  const many = (count: number, to: (i: number) => Addressee) =>
    Array.from({ length: count }, (_, i) => ({ to: to(i), at: since + Math.floor(i / 10) }));
  const again = await log.make(
    ...many(700, (i) => ({ webhook: open[i % open.length] ?? '' })),
    ...many(350, (i) => ({ url: `https://own-${i % 20}.example/hook` })),
  );
  const left = await log.make(...many(100, () => ({ webhook: disabled })), ...many(50, () => ({ webhook: deleted })));
  const others = [
    ...(await log.make({ to: OWN, at: since - 1 })),
    ...(await log.make({ to: OWN, at: since + 1, account: 'bob' })),
  ];
  expect(await log.endAll('failed')).toHaveLength(1202);
  const [arrived] = await log.make({ to: OWN, at: since + 1 });
  await log.endAll('ok');
  await log.setEndpoints({ ...enabled, [disabled]: 'disabled' });

  const answer = await log.post('/v1/deliveries/replay', { since: rfc3339(since) }, ANN);
  expect(answer).toMatchObject({ status: 202, json: { object: 'replay', replayed: 1050, skipped: 150 } });
  expect((await log.store.list('ann', { status: 'pending', limit: 2000 })).map(({ id }) => id).sort()).toEqual(
    again.sort(),
  );
  for (const id of [...left, ...others]) expect((await log.store.get(id))?.status).toBe('failed');
  expect((await log.endAll('ok')).sort()).toEqual(again);
  expect((await log.store.get(arrived ?? ''))?.attempts).toHaveLength(1);

  const next = await log.post('/v1/deliveries/replay', { since: rfc3339(since) }, ANN);
  expect(next.json).toEqual({ object: 'replay', replayed: 0, skipped: 150 });
});

test('a replay of what failed goes from a time to before another, and can be of one webhook', async () => {
  await using log = await openDeliveryLog();
  const webhook = newId('whk');
  await log.setEndpoints({ [webhook]: 'enabled' });
  const at = Date.parse('2026-07-01T10:00:00.000Z');
  const to = { webhook };
  const [before, first, own, last, end] = await log.make(
    { to, at: at - 1 },
    { to, at },
    { to: OWN, at: at + 5 },
    { to, at: at + 9 },
    { to, at: at + 10 },
  );
  await log.endAll('failed');
  const range = { since: rfc3339(at), until: '2026-07-01T12:00:00.010+02:00' };
  const replay = async (body: object, headers = ANN) => (await log.post('/v1/deliveries/replay', body, headers)).json;
  expect(await replay({ ...range, webhook_id: newId('whk') })).toMatchObject({ replayed: 0, skipped: 0 });
  expect(await replay(range, BOB)).toMatchObject({ replayed: 0, skipped: 0 });
  expect(await replay({ ...range, webhook_id: webhook })).toMatchObject({ replayed: 2, skipped: 0 });
  expect((await log.endAll('failed')).sort()).toEqual([first, last]);
  expect(await replay(range)).toMatchObject({ replayed: 3 });
  expect((await log.endAll('ok')).sort()).toEqual([first, own, last]);
  expect(await replay({ since: '1969-07-20T20:17:00Z' })).toMatchObject({ replayed: 2 });
  expect((await log.endAll('ok')).sort()).toEqual([before, end]);
});

test('times that cannot be, or that are the wrong way round, are refused', async () => {
  await using log = await openDeliveryLog();
  const since = '2026-07-01T10:00:00Z';
  const cases: [body: object, pointer: string, code: string][] = [
    [{}, '/since', 'required'],
    [{ since: 1 }, '/since', 'wrong_type'],
    [{ since: 'yesterday' }, '/since', 'invalid_format'],
    [{ since: '2026-02-30T00:00:00Z' }, '/since', 'invalid_format'],
    [{ since: '2026-07-01T10:00:00' }, '/since', 'invalid_format'],
    [{ since, until: '2026-07-32T00:00:00Z' }, '/until', 'invalid_format'],
    [{ since, until: since }, '/since', 'out_of_range'],
    [{ since: rfc3339(Date.now() + 60_000) }, '/since', 'out_of_range'],
    [{ since, webhook_id: 'url_x' }, '/webhook_id', 'invalid_format'],
    [{ since, job_id: newId('job') }, '/job_id', 'unknown_field'],
  ];
  for (const [body, pointer, code] of cases)
    expect(await log.post('/v1/deliveries/replay', body, ANN)).toMatchObject({
      ...{ status: 400, json: { code: 'invalid_request', errors: [{ pointer, code }] } },
    });
});
