import { Readable } from 'node:stream';
import { createImporter } from '@renderyard/api/batches/intake/importer';
import { readUpload } from '@renderyard/api/batches/read-upload';
import { type BatchSubmission, type SubmitBatchDeps, submitBatch } from '@renderyard/api/batches/submit-batch';
import { markUpload } from '@renderyard/api/batches/upload-marker';
import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { systemClock } from '@renderyard/shared/clock';
import { newId } from '@renderyard/shared/ids';
import { createLogger } from '@renderyard/shared/logger';
import type { Store } from '@renderyard/shared/store/store';
import { StoreError } from '@renderyard/shared/store/store-error';
import { describe, expect, test, vi } from 'vitest';
import { startRedisInstance } from '../support/redis-instance.ts';
import { type BatchApi, CSV, openBatchApi } from './uploading.ts';

/** Submits uploads as the route does, on stores that a test may break. */
async function openBench() {
  const api = await openBatchApi();
  const logger = createLogger({ service: 'test', level: 'silent' });
  const { store, files, states } = api;
  const importer = createImporter({
    ...{ store, clock: systemClock, logger, signingKey: new Uint8Array(32) },
    config: { ...api.config, PUBLIC_URL: api.url },
  });
  const deps: SubmitBatchDeps = { store, files, states, feedQueue: async () => {}, clock: systemClock, logger };
  const id = newId('bat');
  return {
    ...api,
    id,
    submit: (broken: Partial<SubmitBatchDeps> = {}, { continued = false, body = CSV } = {}) => {
      const upload = {
        body: Readable.from([Buffer.from(body)]),
        contentType: 'text/csv',
        contentEncoding: undefined,
        bodyOptions: 'json',
      } as const;
      const submission: BatchSubmission = {
        ...{ id, account: 'default', continued },
        read: (nonce, signal = new AbortController().signal) =>
          readUpload(importer, upload, {
            ...{ batch: id, upload: nonce, query: { kind: 'query', values: {} }, signal },
            webhooks: { checkUrl: async () => undefined, requireSecret: () => {} },
          }),
        tell: async () => {},
      };
      return submitBatch({ ...deps, ...broken }, submission);
    },
    /** What the store and Redis hold once all is well. */
    expectOneBatch: async () => {
      const record = await files.readRecord(id);
      const named = (await api.keys()).map((key) =>
        key.replaceAll(id, 'ID').replaceAll(record?.upload ?? '-', 'UPLOAD'),
      );
      expect(named.sort()).toEqual([
        'accounts/default/batches/ID',
        'batches/ID/batch.json',
        'batches/ID/decisions/000001.json',
        'batches/ID/rows/000000-UPLOAD.ndjson',
        'open/ID',
      ]);
      expect(await states.get(id)).toMatchObject({ status: 'running', total: 2 });
      expect((await api.get('/v1/batches')).json.data).toMatchObject([{ id, counts: { queued: 2 } }]);
    },
    [Symbol.asyncDispose]: async () => {
      await importer.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

const away = () => new StoreError('unavailable', 'The store is away.');

/** A store that goes away with the first write of a key of this form. */
function breaking(store: Store, key: RegExp): Store {
  let broken = false;
  const check = (...keys: readonly string[]) => {
    broken ||= keys.some((each) => key.test(each));
    if (broken) throw away();
  };
  return {
    ...store,
    put: async (name, body, options) => {
      check(name);
      return store.put(name, body, options);
    },
    delete: async (keys) => {
      check();
      return store.delete(keys);
    },
  };
}

describe('an upload whose store goes away', () => {
  test.each([
    ['at its marker', /^uploads\//],
    ["at the account's entry", /^accounts\//],
    ['at the mark of open batches', /^open\//],
    ['at the first decision', /\/decisions\//],
    ['at the record', /\/batch\.json$/],
  ])('%s makes no batch, and the same upload again makes one', async (_name, key) => {
    await using bench = await openBench();
    const store = breaking(bench.store, key);
    await expect(bench.submit({ store, files: createBatchFiles({ store }) })).rejects.toThrow('The store is away.');
    expect(await bench.files.readRecord(bench.id)).toBeUndefined();
    expect((await bench.get('/v1/batches')).json.data).toEqual([]);
    if (!key.test('uploads/')) expect(await bench.keys('uploads/')).toEqual([`uploads/${bench.id}`]);
    expect(await bench.submit({}, { continued: true })).toMatchObject({ kind: 'batch' });
    await bench.expectOneBatch();
  });

  test('after it wrote the record has a batch, which the same upload again is answered with', async () => {
    await using bench = await openBench();
    const lost: Store = {
      ...bench.store,
      put: async (name, body, options) => {
        const outcome = await bench.store.put(name, body, options);
        if (name.endsWith('/batch.json')) throw away();
        return outcome;
      },
    };
    await expect(bench.submit({ files: createBatchFiles({ store: lost }) })).rejects.toThrow('The store is away.');
    expect(await bench.keys('uploads/')).toEqual([`uploads/${bench.id}`]);
    expect(await bench.submit({}, { continued: true })).toMatchObject({
      kind: 'batch',
      batch: { record: { id: bench.id } },
    });
    await bench.store.delete([`uploads/${bench.id}`]);
    await bench.expectOneBatch();
  });
});

test('a batch that cannot be started is there all the same, and whoever sends it again starts it', async () => {
  await using bench = await openBench();
  const states = { ...bench.states, open: async () => Promise.reject(new Error('Connection is closed.')) };
  await expect(bench.submit({ states })).rejects.toMatchObject({
    code: 'redis_unavailable',
    message: expect.stringContaining(bench.id),
    options: { members: { batch_id: bench.id } },
  });
  expect(await bench.keys('uploads/')).toEqual([`uploads/${bench.id}`]);
  await expect(bench.submit({}, { continued: true, body: 'prompt\nanother\n' })).rejects.toMatchObject({
    code: 'idempotency_key_reused',
  });
  await bench.submit({}, { continued: true });
  await bench.store.delete([`uploads/${bench.id}`]);
  await bench.expectOneBatch();
});

test('of several runs of one request at the same time one makes the batch, and all answer with it', async () => {
  await using bench = await openBench();
  const runs = await Promise.all([
    bench.submit(),
    bench.submit({}, { continued: true }),
    bench.submit({}, { continued: true }),
  ]);
  for (const run of runs) expect(run).toMatchObject({ kind: 'batch', batch: { record: { id: bench.id } } });
  await bench.expectOneBatch();
});

test('an upload whose marker cannot be renewed for long gives itself up', async () => {
  await using bench = await openBench();
  vi.useFakeTimers();
  try {
    let fails = false;
    const store: Store = {
      ...bench.store,
      put: async () => {
        if (fails) throw away();
        return 'stored';
      },
    };
    const logger = createLogger({ service: 'test', level: 'silent' });
    const marker = await markUpload(
      { store, clock: systemClock, logger },
      { batch: bench.id, account: 'a', upload: 'u' },
    );
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect(marker.signal.aborted).toBe(false);
    fails = true;
    await vi.advanceTimersByTimeAsync(4 * 60_000);
    expect(marker.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(3 * 60_000);
    expect(marker.signal.reason).toBeInstanceOf(StoreError);
    marker.leave();
  } finally {
    vi.useRealTimers();
  }
});

describe('while Redis is away', () => {
  const untilReady = (api: BatchApi) =>
    vi.waitFor(async () => expect((await fetch(`${api.url}/health/ready`)).status).toBe(200), { timeout: 15_000 });

  test('an upload that was begun before becomes a batch, which is told with the error and can be decided about later', async () => {
    await using redis = await startRedisInstance({ persistence: 'aof' });
    await using api = await openBatchApi({ redisUrl: redis.url });
    const body = new TransformStream<Uint8Array, Uint8Array>();
    const writer = body.writable.getWriter();
    const answer = fetch(`${api.url}/v1/batches`, {
      ...{ method: 'POST', headers: { 'content-type': 'text/csv' }, body: body.readable, duplex: 'half' },
    });
    await writer.write(Buffer.from(CSV));
    await vi.waitFor(async () => expect(await api.keys('uploads/')).toHaveLength(1), { timeout: 10_000 });
    redis.kill('SIGKILL');
    await redis.exited;
    await writer.close();
    const response = await answer;
    const json = (await response.json()) as { code: string; detail: string; batch_id: string };
    expect([response.status, json.code]).toEqual([503, 'redis_unavailable']);
    expect(json.detail).toContain(json.batch_id);
    expect(await api.keys('batches/')).toContain(`batches/${json.batch_id}/batch.json`);
    await redis.restart();
    await untilReady(api);
    expect((await api.get(`/v1/batches/${json.batch_id}`)).json).toMatchObject({
      status: 'running',
      counts: { queued: 2 },
    });
    const paused = await api.post(`/v1/batches/${json.batch_id}/pause`);
    expect(paused).toMatchObject({ status: 200, json: { status: 'paused' } });
    expect(await api.states.get(json.batch_id)).toMatchObject({ status: 'paused', total: 2 });
  });

  test('uploads and decisions are answered with 503 in time, and nothing is made', async () => {
    await using redis = await startRedisInstance({ persistence: 'aof' });
    await using api = await openBatchApi({ redisUrl: redis.url });
    const { id } = await api.make();
    const objects = await api.keys();
    redis.kill('SIGKILL');
    await redis.exited;
    for (const ask of [
      () => api.upload(CSV, { headers: { 'idempotency-key': 'a' } }),
      () => api.get(`/v1/batches/${id}`),
      () => api.get('/v1/batches'),
      () => api.post(`/v1/batches/${id}/cancel`),
    ]) {
      const begun = performance.now();
      expect(await ask()).toMatchObject({ status: 503, json: { code: 'redis_unavailable' } });
      expect(performance.now() - begun).toBeLessThan(2_900);
    }
    expect(await api.keys()).toEqual(objects);
    await redis.restart();
    await untilReady(api);
    expect((await api.get(`/v1/batches/${id}`)).json.status).toBe('running');
  });
});
