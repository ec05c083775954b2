import { Webhook } from 'standardwebhooks';
import { beforeAll, expect, test } from 'vitest';
import { YARD_MS } from './yard/ground.ts';
import { until } from './yard/until.ts';
import { type Json, type Received, SMALL, startYard, type Yard } from './yard/yard.ts';

let yard: Yard;
beforeAll(async () => {
  yard = await startYard();
  return () => yard[Symbol.asyncDispose]();
}, YARD_MS);

const hook = (path: string) => new URL(path, yard.receiver.peerUrl).href;
const order = (prompt: string) => ({ input: { prompt, ...SMALL } });
const arrived = (path: string, count: number) =>
  until<Received[]>(`${count} at ${path}`, async () => {
    const got = await yard.received(path);
    return got.length >= count && got;
  });
/** What was sent to the own webhook of a job, once it has arrived. */
const succeeded = (job: string) =>
  until<Json>('the delivery has succeeded', async () => {
    const { data } = await yard.json('GET', `/v1/deliveries?job_id=${job}`);
    return data.find((one: Json) => one.webhook_id === null && one.status === 'succeeded');
  });

test('a webhook of the account hears of a job, signed, with what a GET shows', async () => {
  const webhook = await yard.json('POST', '/v1/webhooks', {
    body: { url: hook('/hooks/account'), events: ['job.succeeded'] },
  });
  const job = await yard.json('POST', '/v1/jobs', { body: order('a told job'), headers: { prefer: 'wait=30' } });
  const [got] = await arrived('/hooks/account', 1);
  const event = new Webhook(webhook.secret).verify(got?.body ?? '', got?.headers ?? {}) as {
    type: string;
    data: unknown;
  };
  expect(event.type).toBe('job.succeeded');
  expect(event.data).toEqual(await yard.json('GET', `/v1/jobs/${job.id}`));
  const { secret: wrong } = await yard.json('GET', '/v1/webhooks/default/secret');
  expect(() => new Webhook(wrong).verify(got?.body ?? '', got?.headers ?? {})).toThrow();

  const log = await until('the delivery is noted', async () => {
    const list = await yard.json('GET', `/v1/deliveries?webhook_id=${webhook.id}`);
    return list.data[0]?.status === 'succeeded' && list.data;
  });
  expect(log).toHaveLength(1);
  expect(log[0]).toMatchObject({ job_id: job.id, attempt_count: 1, event: { id: got?.headers['webhook-id'] } });
  await yard.json('PATCH', `/v1/webhooks/${webhook.id}`, { body: { state: 'disabled' } });
});

test('what the receiver does not take is sent again under the same id', async () => {
  const { secret } = await yard.json('GET', '/v1/webhooks/default/secret');
  const path = '/hooks/failing-at-first';
  await fetch(new URL('/answers', yard.receiver.url), { method: 'POST', body: JSON.stringify({ [path]: [500, 302] }) });
  const { id } = await yard.json('POST', '/v1/jobs', { body: { ...order('told again'), webhook: hook(path) } });
  const got = await arrived(path, 3);
  expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  for (const { body, headers } of got) new Webhook(secret).verify(body, headers);
  const delivery = await succeeded(id);
  expect(delivery.attempts.map((attempt: { status: number }) => attempt.status)).toEqual([500, 302, 204]);
});

test('a delivery is replayed by hand', async () => {
  const path = '/hooks/replayed';
  const { id } = await yard.json('POST', '/v1/jobs', { body: { ...order('told twice'), webhook: hook(path) } });
  await arrived(path, 1);
  const delivery = await succeeded(id);
  await yard.json('POST', `/v1/deliveries/${delivery.id}/replay`);
  const [first, second] = await arrived(path, 2);
  expect(second?.body).toBe(first?.body);
  expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id']);
});

test('a URL that leads to where no webhook may go is refused', async () => {
  for (const url of ['http://169.254.169.254/latest', 'http://[::1]/']) {
    const answer = await yard.call('POST', '/v1/webhooks', { body: { url } });
    const problem: Json = await answer.json();
    expect(problem, url).toMatchObject({ status: 400, errors: [{ pointer: '/url', code: 'webhook_url_refused' }] });
  }
});
