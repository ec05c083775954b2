import { expect, test } from 'vitest';
import { openApi } from '../api/running-api.ts';
import { scrape } from './exposition.ts';

test('the API serves its metrics to whoever has a key', async () => {
  await using api = await openApi({ env: { RENDERYARD_API_KEYS: 'shop:0123456789abcdef' } });
  expect((await api.get('/metrics')).status).toBe(401);
  expect((await api.get('/metrics', { authorization: 'Bearer 0123456789abcdee' })).status).toBe(401);
  // Who reads them is told of at debug only; who is refused, always.
  const refused = () => api.logs.filter(({ route, status }) => route === '/metrics' && status === 401);
  await expect.poll(() => refused().map(({ level }) => level)).toEqual([30, 30]);
  const { value } = await scrape(api.url, { authorization: 'Bearer 0123456789abcdef' });
  expect(value('renderyard_redis_up')).toBe(1);
  expect(value('renderyard_store_up')).toBe(1);
  expect(value('renderyard_rebuilding')).toBe(0);
});

test('streams of events are counted as long as they are open', async () => {
  await using api = await openApi();
  const leaving = new AbortController();
  const stream = await fetch(new URL('/v1/events', api.url), { signal: leaving.signal });
  expect(stream.status).toBe(200);
  expect((await scrape(api.url)).value('renderyard_live_streams')).toBe(1);
  leaving.abort();
  await expect.poll(async () => (await scrape(api.url)).value('renderyard_live_streams')).toBe(0);
  const { value } = await scrape(api.url);
  expect(value('renderyard_http_request_duration_seconds_count{method="GET",route="/v1/events"}')).toBe(1);
});
