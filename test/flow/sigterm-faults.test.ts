import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startS3Proxy } from '../store/s3-proxy.ts';
import { freshBucket } from '../support/bucket.ts';
import { startRedisInstance } from '../support/redis-instance.ts';
import { openHttpReceiver } from '../webhook/http-receiver.ts';
import { terminate } from './sigterm-process.ts';
import { AT_ONCE_MS, keepTable, note } from './sigterm-table.ts';
import { callInFlight, goesOn, openSigtermYard } from './sigterm-yard.ts';

const GRACE_MS = 1500;
/** What a worker may take beyond its grace, phase by phase: no more tickets, breaking off, closing, the watchers. */
const BEYOND_MS = 2000 + 5000 + 3000 + 500;

keepTable();

/** What a worker needs is away. The phases are side by side: each has processes, keys and a store of its own. */
describe.concurrent('a worker that is told to stop', { timeout: 120_000 }, () => {
  const service = 'worker';

  test('during a webhook that is not answered breaks it off, and it is sent again', async () => {
    await using receiver = await openHttpReceiver();
    receiver.answer(undefined);
    await using at = await openSigtermYard({
      graceMs: GRACE_MS,
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
    await using at = await openSigtermYard({
      graceMs: GRACE_MS,
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
      { least: GRACE_MS, most: GRACE_MS + AT_ONCE_MS },
    );
    expect(await readdir(join(at.yard.folder, 'worker', 'rescue'))).toHaveLength(2);
    hangs = false;
    await goesOn(at.yard, id);
  });

  test('while the store is away keeps a paid image on disk', async () => {
    await using at = await openSigtermYard({ graceMs: GRACE_MS, simulator: { latencyMs: 800, latencyP95Ms: 900 } });
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
      { least: GRACE_MS, most: GRACE_MS + AT_ONCE_MS },
    );
    expect(await readdir(join(at.yard.folder, 'worker', 'rescue'))).toHaveLength(2);
    await rename(`${store}.away`, store);
    await goesOn(at.yard, id);
  });

  test('while Redis is away, with the end of a paid call to be recorded, loses neither', async () => {
    await using redis = await startRedisInstance({ persistence: 'aof' });
    await using at = await openSigtermYard({
      graceMs: GRACE_MS,
      redisUrl: redis.url,
      simulator: { latencyMs: 1500, latencyP95Ms: 1600 },
    });
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
});
