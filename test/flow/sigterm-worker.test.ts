import { once } from 'node:events';
import { readdir, rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { describe, expect, inject, test } from 'vitest';
import { startS3Proxy } from '../store/s3-proxy.ts';
import { freshBucket } from '../support/bucket.ts';
import { type Installation, type InstallationOptions, startInstallation } from '../support/installation.ts';
import type { ServiceProcess } from '../support/processes.ts';
import { startRedisInstance } from '../support/redis-instance.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { openHttpReceiver } from '../webhook/http-receiver.ts';
import {
  askReady,
  keepTable,
  note,
  STOPPING,
  startWithoutWaiting,
  terminate,
  untilTrue,
  watchersUrl,
} from './sigterm-table.ts';

const GRACE_MS = 1500;
/** While it starts, a process ends within this time. */
const START_END_MS = 2000;
/** Signals closer together than 750 ms are one, as npm passes on what the terminal has sent already. */
const SAME_SIGNAL_MS = 800;
/** With nothing to wait for. */
const AT_ONCE_MS = 1500;
/** What a worker may take beyond its grace: no more tickets, breaking off, closing; and some for a busy machine. */
const BEYOND_MS = 2000 + 5000 + 3000 + 500 + 2000;

keepTable();

async function open({ env = {}, ...options }: InstallationOptions = {}) {
  const yard = await startInstallation({
    workers: 0,
    env: { METRICS_PORT: '0', SHUTDOWN_GRACE_MS: String(GRACE_MS), SEGMIND_CONCURRENCY: '2', ...env },
    ...options,
  });
  return { yard, worker: await yard.startWorker(), [Symbol.asyncDispose]: () => yard[Symbol.asyncDispose]() };
}

/** Submits one job. @returns its id once its call is in flight. */
async function callInFlight(yard: Installation): Promise<string> {
  const [id = ''] = await yard.submit(['A lighthouse at dawn']);
  await yard.until('the call is in flight', async () => (await yard.jobs([id]))[0]?.status === 'processing');
  return id;
}

/** A worker that comes later makes an image of the job, and it is paid for once in all. */
async function goesOn(yard: Installation, id: string): Promise<void> {
  await yard.startWorker();
  const [job] = await yard.ended([id]);
  expect(job?.status).toBe('succeeded');
  expect((await yard.upstream.ledger()).billed_count).toBe(1);
  expect((await yard.credits()).reserved).toBe(0);
}

/** Until it ends, whoever watches over it is told that it stops. */
async function tellsThatItStops(worker: ServiceProcess): Promise<void> {
  const url = await watchersUrl(worker);
  await worker.untilLog((line) => line.msg === 'stopping');
  expect(await askReady(url)).toEqual(STOPPING);
  expect((await fetch(`${url}/health/live`)).status).toBe(200);
}

/** The phases of a worker, side by side: each has processes, keys and a store of its own. */
describe.concurrent('a worker that is told to stop', { timeout: 120_000 }, () => {
  const service = 'worker';

  test('during a webhook that is not answered breaks it off, and it is sent again', async () => {
    await using receiver = await openHttpReceiver();
    receiver.answer(undefined);
    await using at = await open({
      env: { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', WEBHOOK_TIMEOUT_MS: '3000', WEBHOOK_SCHEDULE_S: '0,1,1' },
    });
    const input = { prompt: 'A fox', width: 64, height: 64 };
    const submitted = await at.yard.call('POST', '/v1/jobs', {
      ...{ input, webhook: receiver.url, webhook_events_filter: ['job.succeeded'] },
    });
    expect(submitted.status).toBe(202);
    await at.yard.until('the webhook is on its way', async () => receiver.received.length === 1);
    const end = await terminate(at.worker);
    note(
      {
        service,
        phase: 'a webhook is not answered',
        graceMs: GRACE_MS,
        ...end,
        outcome: 'sent again by another worker',
      },
      { least: GRACE_MS, most: GRACE_MS + AT_ONCE_MS },
    );
    receiver.answer(200);
    await at.yard.startWorker();
    await at.yard.until('it is sent again', async () => receiver.received.length === 2);
    expect(receiver.ids.size).toBe(1);
    expect((await at.yard.upstream.ledger()).billed_count).toBe(1);
  });

  test('while it waits for Redis ends at once', async () => {
    const folder = await makeTemporaryFolder('sigterm');
    const env = { REDIS_URL: 'redis://127.0.0.1:1', SEGMIND_API_KEY: 'SG_1', DATA_DIR: folder, METRICS_PORT: '0' };
    await using worker = startWithoutWaiting(service, env);
    const url = await watchersUrl(worker);
    await worker.untilLog('Redis cannot be reached');
    expect(await askReady(url)).toMatchObject({ status: 503, checks: [{ detail: 'The process is starting.' }] });
    const end = await terminate(worker);
    note(
      { service, phase: 'Redis is awaited at the start', graceMs: 25_000, ...end, outcome: 'nothing begun' },
      {
        most: START_END_MS,
      },
    );
    await rm(folder, { recursive: true });
  });

  test('while Redis is rebuilt from a store that hangs ends at once, and another can take over', async () => {
    const silent = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const folder = await makeTemporaryFolder('sigterm');
    const env = {
      ...{ REDIS_URL: inject('redisUrl'), REDIS_PREFIX: `sigterm-${process.pid}-${Date.now()}` },
      ...{ S3_BUCKET: 'b', AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`, AWS_REGION: 'us-east-1' },
      ...{ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', SEGMIND_API_KEY: 'SG_1', S3_FORCE_PATH_STYLE: 'true' },
      ...{ DATA_DIR: folder, METRICS_PORT: '0', SECRET_KEY: Buffer.alloc(32).toString('base64') },
    };
    {
      await using worker = startWithoutWaiting(service, env);
      const url = await watchersUrl(worker);
      await untilTrue('Redis is being rebuilt', async () =>
        (await askReady(url)).checks.some(({ detail }) => detail.startsWith('rebuilding')),
      );
      const end = await terminate(worker);
      note(
        { service, phase: 'Redis is rebuilt, the store hangs', graceMs: 25_000, ...end, outcome: 'lock released' },
        {
          most: START_END_MS,
        },
      );
    }
    const { S3_BUCKET: _, ...withFolder } = env;
    await using next = startWithoutWaiting(service, withFolder);
    await next.untilLog('the worker takes tickets');
    silent.close();
  });

  test('with nothing to do ends at once', async () => {
    await using at = await open();
    const url = await watchersUrl(at.worker);
    await untilTrue('the worker is ready', async () => (await askReady(url)).status === 200);
    expect((await askReady(url)).checks.at(-1)).toMatchObject({ name: 'tickets', ok: true });
    const end = await terminate(at.worker);
    note({ service, phase: 'idle', graceMs: GRACE_MS, ...end, outcome: 'nothing to lose' }, { most: AT_ONCE_MS });
  });

  test('during a call lets it end', async () => {
    await using at = await open({
      simulator: { latencyMs: 1500, latencyP95Ms: 1600 },
      env: { SHUTDOWN_GRACE_MS: '20000' },
    });
    const id = await callInFlight(at.yard);
    const [end] = await Promise.all([terminate(at.worker), tellsThatItStops(at.worker)]);
    note(
      { service, phase: 'a call is in flight', graceMs: 20_000, ...end, outcome: 'image stored, billed once' },
      {
        most: 5000,
      },
    );
    const [job] = await at.yard.jobs([id]);
    expect(job).toMatchObject({ status: 'succeeded', attempts: 1, uncertain: 0 });
    expect((await at.yard.upstream.ledger()).billed_count).toBe(1);
  });

  test('during a call that outlasts the grace breaks it off and counts it as uncertain', async () => {
    await using at = await open();
    await at.yard.upstream.fault({ effect: { kind: 'hang', billed: false }, times: 1 });
    const id = await callInFlight(at.yard);
    const [end] = await Promise.all([terminate(at.worker), tellsThatItStops(at.worker)]);
    note(
      { service, phase: 'a call hangs', graceMs: GRACE_MS, ...end, outcome: 'uncertain, made again, billed once' },
      { least: GRACE_MS, most: GRACE_MS + AT_ONCE_MS },
    );
    expect((await at.yard.credits()).uncertain.calls.map(({ how }) => how)).toEqual(['shutdown']);
    await goesOn(at.yard, id);
  });

  test('while the store takes a paid image and does not answer keeps the image on disk', async () => {
    const bucket = await freshBucket();
    let hangs = false;
    const hung = Promise.withResolvers<void>();
    await using proxy = await startS3Proxy(bucket.server.endpoint, ({ method, url }) => {
      if (!hangs || method !== 'PUT') return 'pass';
      if (url?.includes('/jobs/')) hung.resolve();
      return 'hang';
    });
    const SECRET_KEY = Buffer.alloc(32, 1).toString('base64');
    await using at = await open({
      simulator: { latencyMs: 800, latencyP95Ms: 900 },
      env: { ...bucket.env, AWS_ENDPOINT_URL_S3: proxy.endpoint, SECRET_KEY },
    });
    const id = await callInFlight(at.yard);
    hangs = true;
    await hung.promise;
    const end = await terminate(at.worker);
    note(
      {
        service,
        phase: 'a PUT hangs',
        graceMs: GRACE_MS,
        ...end,
        outcome: 'image kept on disk, stored later, billed once',
      },
      { least: GRACE_MS, most: GRACE_MS + BEYOND_MS },
    );
    expect(await readdir(join(at.yard.folder, 'worker', 'rescue'))).toHaveLength(2);
    hangs = false;
    await goesOn(at.yard, id);
  });

  test('while the store is away keeps a paid image on disk', async () => {
    await using at = await open({ simulator: { latencyMs: 800, latencyP95Ms: 900 } });
    const id = await callInFlight(at.yard);
    const store = join(at.yard.folder, 'store');
    await rename(store, `${store}.away`);
    await at.worker.untilLog((line) => line.msg === 'an image cannot be stored and is tried again');
    const end = await terminate(at.worker);
    note(
      {
        service,
        phase: 'the store is away',
        graceMs: GRACE_MS,
        ...end,
        outcome: 'image kept on disk, stored later, billed once',
      },
      { least: GRACE_MS, most: GRACE_MS + BEYOND_MS },
    );
    expect(await readdir(join(at.yard.folder, 'worker', 'rescue'))).toHaveLength(2);
    await rename(`${store}.away`, store);
    await goesOn(at.yard, id);
  });

  test('while Redis is away, with the end of a paid call to be recorded, loses neither', async () => {
    await using redis = await startRedisInstance({ persistence: 'aof' });
    await using at = await open({ redisUrl: redis.url, simulator: { latencyMs: 1500, latencyP95Ms: 1600 } });
    const id = await callInFlight(at.yard);
    await redis.stop();
    const stored = () => readdir(join(at.yard.folder, 'store', 'jobs')).catch(() => []);
    await at.yard.until('the image is stored', async () => (await stored()).some((name) => name.startsWith(id)));
    const end = await terminate(at.worker);
    note(
      {
        service,
        phase: 'Redis is away, a call is to be recorded',
        graceMs: GRACE_MS,
        ...end,
        outcome: 'image found in the store, billed once',
      },
      { least: GRACE_MS, most: GRACE_MS + BEYOND_MS },
    );
    await redis.restart();
    await goesOn(at.yard, id);
  });

  test('during a hold ends at once, and the work goes on after it', async () => {
    await using at = await open();
    expect((await at.yard.call('POST', '/v1/credits/hold')).status).toBe(200);
    const [id = ''] = await at.yard.submit(['A fox']);
    expect((await at.yard.jobs([id]))[0]?.hold?.reason).toBe('operator');
    const end = await terminate(at.worker);
    note(
      { service, phase: 'all work is held', graceMs: GRACE_MS, ...end, outcome: 'held still, then billed once' },
      {
        most: AT_ONCE_MS,
      },
    );
    expect((await at.yard.call('POST', '/v1/credits/resume')).status).toBe(200);
    await goesOn(at.yard, id);
  });

  test('a second time ends at once, and its call is found to be lost', async () => {
    await using at = await open({ env: { SHUTDOWN_GRACE_MS: '20000' } });
    await at.yard.upstream.fault({ effect: { kind: 'hang', billed: false }, times: 1 });
    await callInFlight(at.yard);
    at.worker.kill('SIGTERM');
    const stopping = await at.worker.untilLog((line) => line.msg === 'stopping');
    await systemClock.sleep(Date.parse(String(stopping.time)) + SAME_SIGNAL_MS - Date.now());
    const end = await terminate(at.worker);
    note(
      { service, phase: 'a second signal, a call hangs', graceMs: 20_000, ...end, outcome: 'the call is lost' },
      {
        most: 500,
        code: 1,
      },
    );
  });
});
