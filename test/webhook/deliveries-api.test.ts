import { listDeliveries } from '@renderyard/api/deliveries/list-deliveries';
import { createReceiverLookup } from '@renderyard/api/deliveries/receiver-lookup';
import { newId } from '@renderyard/shared/ids';
import { expect, test } from 'vitest';
import { ANN, BOB, openDeliveryLog, urlOf } from './delivery-log.ts';

const OWN = { url: 'https://own.example/hook?token=1' };

type Log = Awaited<ReturnType<typeof openDeliveryLog>>;

/** All pages of a list: the ids, and how many were on each page. */
async function walk(log: Log, query: string, headers = ANN) {
  const ids: string[] = [];
  const sizes: number[] = [];
  for (let after = ''; ; ) {
    const { status, json } = await log.get(`/v1/deliveries?${query}${after}`, headers);
    expect(status).toBe(200);
    expect(json.has_more).toBe(json.next !== null);
    ids.push(...json.data.map(({ id }: { id: string }) => id));
    sizes.push(json.data.length);
    if (json.next === null) return { ids, sizes };
    after = `&after=${json.next}`;
  }
}

test('a delivery is shown with its event, its receiver and its attempts', async () => {
  await using log = await openDeliveryLog();
  const webhook = newId('whk');
  await log.setEndpoints({ [webhook]: 'enabled' });
  const at = Date.parse('2026-07-01T10:00:00.123Z');
  const body = '{"type":"job.failed","data":"é\\u0001"}';
  const batch = newId('bat');
  const job = `job_${batch.slice(4)}_17`;
  const [id = ''] = await log.make({ to: { webhook }, at, type: 'job.failed', job, batch, body });

  const fresh = (await log.get(`/v1/deliveries/${id}`, ANN)).json;
  const self = new URL(`/v1/deliveries/${id}`, log.url).href;
  expect(fresh).toEqual({
    id,
    object: 'delivery',
    status: 'pending',
    sending: false,
    event: { id: expect.stringMatching(/^evt_/), type: 'job.failed', timestamp: '2026-07-01T10:00:00.123Z' },
    webhook_id: webhook,
    url: urlOf(webhook),
    job_id: job,
    batch_id: batch,
    attempts: [],
    attempt_count: 0,
    next_attempt_at: fresh.created_at,
    created_at: expect.stringMatching(/Z$/),
    body,
    urls: { self, replay: `${self}/replay` },
  });

  const first = await log.takeOne();
  expect((await log.get(`/v1/deliveries/${id}`, ANN)).json).toMatchObject({
    ...{ status: 'pending', sending: true, next_attempt_at: null },
  });
  const attempt = { at: at + 1000, ms: 12.4, status: 500, answer: 'oh no' };
  const { lease, url } = first;
  await log.store.record({ id, lease, url, attempt, verdict: 'failed', waitMs: 60_000 });
  const waiting = (await log.get(`/v1/deliveries/${id}`, ANN)).json;
  expect(waiting).toMatchObject({
    ...{ status: 'pending', sending: false, attempt_count: 1 },
    attempts: [{ at: '2026-07-01T10:00:01.123Z', duration_ms: 12, status: 500, error: null, answer: 'oh no' }],
  });
  expect(Date.parse(waiting.next_attempt_at)).toBeGreaterThan(Date.parse(waiting.created_at) + 50_000);

  expect(await log.store.replay('ann', [id])).toEqual([id]);
  await log.endAll('failed', { error: 'timeout' });
  const { body: _, ...failed } = (await log.get(`/v1/deliveries/${id}`, ANN)).json;
  expect(failed).toMatchObject({ status: 'failed', sending: false, attempt_count: 1, next_attempt_at: null });
  expect(failed.attempts).toHaveLength(2);
  expect(failed.attempts[1]).toMatchObject({ status: null, error: 'timeout', answer: null });
  // Bodies are told one by one only.
  expect((await log.get('/v1/deliveries', ANN)).json.data).toEqual([failed]);
});

test('the URL is that of the job or batch, else that of the webhook now, and never with a password', async () => {
  await using log = await openDeliveryLog();
  const webhook = newId('whk');
  await log.setEndpoints({ [webhook]: 'enabled' });
  const [own, secret, endpoint] = await log.make(
    { to: OWN },
    { to: { url: 'https://ann:hunter2@own.example/hook' } },
    { to: { webhook } },
  );
  const read = async (id = '') => (await log.get(`/v1/deliveries/${id}`, ANN)).json;
  expect(await read(own)).toMatchObject({ webhook_id: null, url: OWN.url });
  expect(await read(secret)).toMatchObject({ webhook_id: null, url: 'https://own.example/hook' });
  expect(await read(endpoint)).toMatchObject({ webhook_id: webhook, url: urlOf(webhook) });
  await log.setEndpoints({});
  expect(await read(endpoint)).toMatchObject({
    webhook_id: webhook,
    url: null,
    status: 'failed',
    next_attempt_at: null,
  });
});

test('pages hold each delivery once, the newest first, also where many have the same time', async () => {
  await using log = await openDeliveryLog();
  const at = Date.now();
  const same = await log.make(...Array.from({ length: 11 }, () => ({ to: OWN, at })));
  const [older] = await log.make({ to: OWN, at: at - 1 });
  const [newer] = await log.make({ to: OWN, at: at + 1 });
  const expected = [newer, ...same.sort().reverse(), older];
  for (const limit of [1, 4, 13, 100]) {
    const { ids, sizes } = await walk(log, `limit=${limit}`);
    expect(ids).toEqual(expected);
    expect(sizes).toEqual(sizes.map((_, page) => Math.min(limit, 13 - page * limit)));
  }
});

test('lists are narrowed by status, webhook, type, job and batch, and by several of them', async () => {
  await using log = await openDeliveryLog();
  const [first, second] = [newId('whk'), newId('whk')];
  const [job, batch] = [newId('job'), newId('bat')];
  await log.setEndpoints({ [first]: 'enabled', [second]: 'enabled' });
  let at = Date.now() - 1000;
  const next = () => at++;
  const [a, b] = await log.make(
    { to: { webhook: first }, at: next(), job },
    { to: { webhook: second }, at: next(), type: 'batch.completed', batch },
  );
  await log.endAll('failed');
  const [c, d] = await log.make(
    { to: { webhook: first }, at: next(), type: 'batch.completed', batch },
    { to: OWN, at: next(), type: 'webhook.test', job },
  );
  await log.endAll('ok');
  const [e] = await log.make({ to: { webhook: first }, at: next(), job, batch });
  const cases: Record<string, (string | undefined)[]> = {
    '': [e, d, c, b, a],
    'status=failed': [b, a],
    'status=succeeded': [d, c],
    'status=pending': [e],
    [`webhook_id=${first}`]: [e, c, a],
    [`webhook_id=${first}&status=failed`]: [a],
    [`webhook_id=${newId('whk')}`]: [],
    'type=batch.completed': [c, b],
    'type=webhook.test': [d],
    'type=batch.completed&status=failed': [b],
    [`job_id=${job}`]: [e, d, a],
    [`batch_id=${batch}`]: [e, c, b],
    [`batch_id=${batch}&job_id=${job}`]: [e],
    [`batch_id=${batch}&webhook_id=${first}&type=batch.completed&status=succeeded`]: [c],
    [`job_id=${newId('job')}`]: [],
  };
  for (const [query, ids] of Object.entries(cases))
    for (const limit of [1, 2, 100])
      expect({ query, limit, ...(await walk(log, `${query}&limit=${limit}`)) }).toMatchObject({ query, ids });
});

test('for one page 2,000 deliveries are looked at, and the next page goes on behind them', async () => {
  await using log = await openDeliveryLog();
  const at = Date.now() - 10_000;
  const [job, webhook] = [newId('job'), newId('whk')];
  await log.setEndpoints({ [webhook]: 'enabled' });
  const [wanted] = await log.make({ to: { webhook }, at, job });
  await log.endAll('failed');
  await log.make(...Array.from({ length: 2_000 }, (_, i) => ({ to: { webhook }, at: at + 1 + i })));
  for (const query of [`job_id=${job}`, `webhook_id=${webhook}&status=failed`])
    expect(await walk(log, query)).toEqual({ ids: [wanted], sizes: [0, 1] });
  // By status alone there is a list.
  expect(await walk(log, 'status=failed')).toEqual({ ids: [wanted], sizes: [1] });
});

test("another account's webhook is not looked through; what was sent to a deleted one is still listed", async () => {
  await using log = await openDeliveryLog();
  const webhook = newId('whk');
  await log.setEndpoints({ [webhook]: 'enabled' });
  const made = await log.make(...Array.from({ length: 3 }, (_, i) => ({ to: { webhook }, at: Date.now() + i })));
  let asked = 0;
  const list: typeof log.store.list = (...args) => {
    asked += 1;
    return log.store.list(...args);
  };
  const deps = { store: { list }, receivers: createReceiverLookup(log) };
  const read = (account: string) => listDeliveries(deps, account, { webhook_id: webhook, limit: 2 });
  expect([await read('bob'), asked]).toEqual([{ deliveries: [], next: null }, 0]);
  expect([(await read('ann')).next, asked]).toEqual([made[1], 1]);
  await log.setEndpoints({});
  expect((await walk(log, `webhook_id=${webhook}`)).ids).toEqual(made.toReversed());
});

test('what another account was sent, or is not there, is not found', async () => {
  await using log = await openDeliveryLog();
  const webhook = newId('whk');
  await log.setEndpoints({ [webhook]: 'enabled' });
  const [id = ''] = await log.make({ to: { webhook } });
  const [ofBob = ''] = await log.make({ to: OWN, account: 'bob' });
  expect((await walk(log, '', BOB)).ids).toEqual([ofBob]);
  expect((await walk(log, `webhook_id=${webhook}`, BOB)).ids).toEqual([]);
  const notFound = { status: 404, json: { code: 'not_found' } };
  expect(await log.get(`/v1/deliveries/${id}`, BOB)).toMatchObject(notFound);
  expect(await log.post(`/v1/deliveries/${id}/replay`, undefined, BOB)).toMatchObject(notFound);
  expect((await log.store.get(id))?.status).toBe('pending');
  for (const other of [newId('dlv'), newId('job'), 'replay', 'dlv_x'])
    expect(await log.get(`/v1/deliveries/${other}`, ANN)).toMatchObject(notFound);
  await log.store.sweep(Date.now() + 60_000);
  expect(await log.get(`/v1/deliveries/${id}`, ANN)).toMatchObject(notFound);
  expect(await log.post(`/v1/deliveries/${id}/replay`, undefined, ANN)).toMatchObject(notFound);
});

test('queries that say nothing clear are refused', async () => {
  await using log = await openDeliveryLog();
  for (const query of ['limit=0', 'limit=101', 'status=sent', 'type=job.done', 'webhook_id=x', 'job_id=1', 'after=1'])
    expect(await log.get(`/v1/deliveries?${query}`, ANN)).toMatchObject({
      status: 400,
      json: { code: 'invalid_request', errors: [{ pointer: `?${query.split('=')[0]}` }] },
    });
});
