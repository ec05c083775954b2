import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';
import { type ServiceProcess, startService } from '../support/processes.ts';
import { openListener } from '../webhook/listener.ts';

/** What a worker or an API says of itself to those who watch. */
async function readinessOf(service: ServiceProcess) {
  const { url } = await service.untilLog(({ msg }) => msg === 'metrics and health are served');
  const answer = await fetch(`${url}/health/ready`);
  const { checks } = (await answer.json()) as { checks: { name: string; ok: boolean; detail: string }[] };
  return { status: answer.status, settings: checks.find(({ name }) => name === 'settings') };
}

const PROMPTS = ['one', 'two', 'three'];

test('a worker and an API with another store are not ready and do nothing, and one with the same does the work', async () => {
  await using yard = await startInstallation({ workers: 0 });
  const apart = join(yard.folder, 'apart');
  await mkdir(apart);
  const env = { ...yard.settings, DATA_DIR: apart, METRICS_PORT: '0' };
  await using other = await startService({ service: 'worker', env });
  await using otherApi = await startService({ service: 'api', env });
  const ids = await yard.submit(PROMPTS);
  for (const each of [other, otherApi])
    expect(await readinessOf(each)).toMatchObject({
      status: 503,
      settings: {
        ok: false,
        detail: expect.stringMatching(/^The store is another than that of the api api_\w+, which/),
      },
    });
  const upload = await fetch(`${otherApi.url}/v1/batches`, {
    ...{ method: 'POST', headers: { 'content-type': 'text/csv' }, body: 'prompt\nx\n' },
  });
  expect([upload.status, await upload.json()]).toEqual([503, expect.objectContaining({ code: 'store_unavailable' })]);
  const right = await yard.startWorker();
  const jobs = await yard.ended(ids);
  expect(jobs.map(({ status }) => status)).toEqual(PROMPTS.map(() => 'succeeded'));
  const made = (worker: ServiceProcess) => worker.logs.filter(({ msg }) => msg === 'job').length;
  // A line of the log may come later than what it tells of.
  await expect.poll(() => [made(right), made(other)], { timeout: 10_000 }).toEqual([PROMPTS.length, 0]);
  expect((await fetch(`${yard.api.url}/health/ready`)).status).toBe(200);
}, 90_000);

test('with another store than before nothing is rendered, and with the one of before it goes on', async () => {
  await using yard = await startInstallation({ workers: 0 });
  const ids = await yard.submit(PROMPTS);
  await yard.api.stop();
  // The store was moved, and an empty one is in its place.
  const store = join(yard.folder, 'store');
  await rename(store, `${store}-before`);
  const env = { ...yard.settings, METRICS_PORT: '0' };
  {
    await using worker = await startService({ service: 'worker', env });
    await using api = await startService({ service: 'api', env });
    for (const each of [worker, api])
      expect(await readinessOf(each)).toMatchObject({
        status: 503,
        settings: { ok: false, detail: expect.stringMatching(/^Redis belongs to another store\. /) },
      });
    expect((await fetch(`${api.url}/v1/jobs`)).status).toBe(503);
    await worker.untilLog(({ store_of_redis: theirs }) => theirs !== undefined);
    expect(worker.logs.filter(({ msg }) => msg === 'job')).toEqual([]);
  }
  await rm(store, { recursive: true });
  await rename(`${store}-before`, store);
  await yard.restartApi();
  await yard.startWorker();
  const jobs = await yard.ended(ids);
  expect(jobs.map(({ status, attempts }) => [status, attempts])).toEqual(PROMPTS.map(() => ['succeeded', 1]));
}, 90_000);

test('a worker with another SECRET_KEY renders, is not ready, and sends no webhook', async () => {
  await using yard = await startInstallation({ workers: 0, env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8' } });
  await using listener = await openListener();
  const SECRET_KEY = randomBytes(32).toString('base64');
  await using other = await startService({
    service: 'worker',
    env: { ...yard.settings, SECRET_KEY, METRICS_PORT: '0' },
  });
  const answer = await yard.call('POST', '/v1/jobs', {
    ...{ input: { width: 64, height: 64, prompt: 'one' }, webhook: `${listener.url}/hook` },
  });
  const { id } = (await answer.json()) as { readonly id: string };
  expect((await yard.ended([id])).map(({ status }) => status)).toEqual(['succeeded']);
  expect(await readinessOf(other)).toMatchObject({
    status: 503,
    settings: {
      ok: false,
      detail: expect.stringMatching(/^SECRET_KEY is another than that of the api api_\w+, which/),
    },
  });
  const told = await other.untilLog(({ level, other: who }) => level === 50 && who !== undefined);
  expect(told.other).toMatchObject({ service: 'api', host: expect.any(String), pid: yard.api.pid });
  expect(listener.arrivals).toEqual([]);
  // What waited is sent by one that can sign it.
  await yard.startWorker();
  await yard.until('it has arrived', async () => listener.arrivals.length > 0);
  expect(JSON.parse(listener.arrivals[0]?.body ?? '')).toMatchObject({ data: { id } });
  expect(other.logs.filter(({ msg }) => msg === 'webhook')).toEqual([]);
}, 90_000);
