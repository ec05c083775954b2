import { expect, test, vi } from 'vitest';
import { openApi } from './running-api.ts';

test('a request leaves one record, without its body, its query or its key', async () => {
  await using api = await openApi({ env: { RENDERYARD_API_KEYS: 'ann:secret-of-ann-12345' } });
  const key = { authorization: 'Bearer secret-of-ann-12345' };
  const { id } = await api.submit({ prompt: 'A prompt of mine' }, key);
  const { headers } = await api.get(`/v1/jobs/${id}?token=hidden`, key);
  await api.get('/store/x?signature=hidden');
  const records = await vi.waitFor(() => {
    const found = api.logs.filter((line) => line.msg === 'request');
    expect(found).toHaveLength(3);
    return found;
  });
  expect(records[0]).toMatchObject({ method: 'POST', route: '/v1/jobs', status: 202, account: 'ann', job_id: id });
  expect(records[1]).toMatchObject({
    level: 30,
    request_id: headers.get('x-request-id'),
    route: '/v1/jobs/:id',
    duration_ms: expect.any(Number),
  });
  expect(records[2]).toMatchObject({ route: '/store/*', status: 403, error_code: 'bad_signature' });
  expect(JSON.stringify(api.logs)).not.toMatch(/prompt of mine|secret-of|hidden/);
});

test('what stands in a path where an id belongs is told only if it is one', async () => {
  await using api = await openApi();
  const { id } = await api.submit({ prompt: 'A fox' });
  const given = [
    id,
    `${id.replace('_', '_0').slice(0, 30)}_7`,
    '0123456789abcdef0123456789abcdef',
    'a%20prompt%20of%20mine',
  ];
  for (const each of given) await api.get(`/v1/jobs/${each}`);
  const records = await vi.waitFor(() => {
    const found = api.logs.filter((line) => line.route === '/v1/jobs/:id');
    expect(found).toHaveLength(given.length);
    return found;
  });
  expect(records.map((record) => record.job_id)).toEqual([given[0], given[1], undefined, undefined]);
  expect(JSON.stringify(api.logs)).not.toMatch(/0123456789abcdef|prompt of mine/);
});
