import { expect, test } from 'vitest';
import { type Api, openApi } from './running-api.ts';

/** What the log of the API tells of the ends of a job. */
const linesOf = (api: Api, id: string) => api.logs.filter(({ msg, job }) => msg === 'job' && job === id);

test('a queued job is canceled at once, and its place in the queue goes to the next', async () => {
  await using api = await openApi({ env: { FEED_WINDOW: '1' } });
  const [first, second] = [await api.submit(), await api.submit()];
  const { status, json } = await api.post(`/v1/jobs/${first.id}/cancel`);
  expect([status, json.status]).toEqual([200, 'canceled']);
  expect(json.ended_at).not.toBeNull();
  expect(await api.queue.has({ job: first.id, generation: 1 })).toBe(false);
  expect(await api.queue.has({ job: second.id, generation: 1 })).toBe(true);
  expect(linesOf(api, first.id)).toEqual([
    expect.objectContaining({ status: 'canceled', attempts: 0, uncertain: 0, cost: 0, account: 'default' }),
  ]);
});

test('a job with a call in flight is canceled when the call has ended', async () => {
  await using api = await openApi();
  const { id } = await api.submit();
  await api.startCall(id);
  const { status, json } = await api.post(`/v1/jobs/${id}/cancel`);
  expect([status, json.status, json.cancel_requested]).toEqual([200, 'processing', true]);
});

test('an ended job cannot be canceled', async () => {
  await using api = await openApi();
  const { id } = await api.submit();
  await api.succeed(id);
  expect(await api.post(`/v1/jobs/${id}/cancel`)).toMatchObject({ status: 409, json: { code: 'job_ended' } });
});

test('a failed job is retried under its id and queued again', async () => {
  await using api = await openApi();
  const { id } = await api.submit();
  await api.fail(id);
  const { status, headers, json } = await api.post(`/v1/jobs/${id}/retry`);
  expect(status).toBe(202);
  expect(headers.get('location')).toBe(json.urls.self);
  expect(json).toMatchObject({ id, status: 'queued', error: null, ended_at: null });
  expect(await api.queue.has({ job: id, generation: 2 })).toBe(true);
});

test('a canceled job whose image was paid for has succeeded when it is retried', async () => {
  await using api = await openApi();
  const { id } = await api.submit();
  const call = await api.startCall(id);
  await api.post(`/v1/jobs/${id}/cancel`);
  const image = { key: 'jobs/a.png', content_type: 'image/png', bytes: 1, width: 1, height: 1, sha256: '', seed: 1 };
  await api.jobs.record(
    {
      job: id,
      call: { id: call, settlement: { kind: 'spent', cost: 30_000_000 } },
      status: 'succeeded',
      output: [image],
    },
    1000,
  );
  expect((await api.get(`/v1/jobs/${id}`)).json).toMatchObject({ status: 'canceled', cost: 0.03, attempts: 1 });
  expect(await api.post(`/v1/jobs/${id}/retry`)).toMatchObject({ status: 202, json: { status: 'succeeded' } });
  expect(linesOf(api, id)).toEqual([expect.objectContaining({ status: 'succeeded', attempts: 1, cost: 0.03 })]);
});

test.each(['queued', 'succeeded'])('a job that is %s cannot be retried', async (state) => {
  await using api = await openApi();
  const { id } = await api.submit();
  if (state === 'succeeded') await api.succeed(id);
  expect(await api.post(`/v1/jobs/${id}/retry`)).toMatchObject({ status: 409, json: { code: 'job_not_retryable' } });
});

test('an action takes an empty body of whatever type, and refuses fields', async () => {
  await using api = await openApi();
  const [a, b, c] = [await api.submit(), await api.submit(), await api.submit()];
  expect(await api.call('POST', a.urls.cancel, { body: '', headers: { 'content-type': 'text/plain' } })).toMatchObject({
    status: 200,
  });
  expect(await api.post(b.urls.cancel, {})).toMatchObject({ status: 200 });
  expect(await api.post(c.urls.cancel, { force: true })).toMatchObject({ status: 400 });
});
