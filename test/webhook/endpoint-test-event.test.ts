import { expect, test } from 'vitest';
import { openApi } from '../api/running-api.ts';

const URL_A = 'https://93.184.215.14/hooks/a';

test('a test event becomes a delivery, whatever the webhook hears', async () => {
  await using api = await openApi();
  const { id } = (await api.post('/v1/webhooks', { url: URL_A, events: ['credits.low'] })).json;
  const asked = await api.post(`/v1/webhooks/${id}/test`, undefined, { 'idempotency-key': 'a' });
  expect(asked).toMatchObject({
    status: 202,
    json: {
      ...{ object: 'delivery', status: 'pending', webhook_id: id, url: URL_A, job_id: null, batch_id: null },
      event: { id: expect.stringMatching(/^evt_[0-9a-z]{26}$/), type: 'webhook.test' },
    },
  });
  expect(asked.headers.get('location')).toBe(`${api.url}/v1/deliveries/${asked.json.id}`);
  const { body } = (await api.get(`/v1/deliveries/${asked.json.id}`)).json;
  expect(JSON.parse(body)).toEqual({
    type: 'webhook.test',
    timestamp: asked.json.event.timestamp,
    data: { object: 'webhook', id, message: expect.any(String) },
  });
  expect((await api.get(`/v1/webhooks/${id}`)).json.waiting).toBe(1);
  expect((await api.post(`/v1/webhooks/${id}/test`, undefined, { 'idempotency-key': 'a' })).json).toEqual(asked.json);
  expect((await api.post(`/v1/webhooks/${id}/test`)).json.id).not.toBe(asked.json.id);

  await api.call('DELETE', `/v1/webhooks/${id}`);
  expect((await api.get(`/v1/deliveries/${asked.json.id}`)).json).toMatchObject({ status: 'failed', url: null });
});

test('a webhook for which 10,000 deliveries wait takes no test event', async () => {
  await using api = await openApi();
  const { id } = (await api.post('/v1/webhooks', { url: URL_A })).json;
  const waiting = Array.from({ length: 10_000 }, (_, i) => [1, `dlv_${i}`]).flat();
  await api.redis.zadd(`${api.prefix}dq:${id}`, ...(waiting as [number, string]));
  expect((await api.post(`/v1/webhooks/${id}/test`)).json).toMatchObject({ status: 409, code: 'webhook_queue_full' });
});
