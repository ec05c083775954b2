import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { createBatchStates } from '@renderyard/shared/batch/batch-states';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { openStore } from '@renderyard/shared/store/open-store';
import { STORE_VERSION_KEY } from '@renderyard/shared/upgrade/store-version';
import { afterAll, beforeAll } from 'vitest';
import { type Answer, type Api, openApi } from '../api/running-api.ts';

export const CSV = 'id,prompt,steps\nfox,A fox,20\nhen,A hen,\n';

/** An API, with the stores that a worker has, and words for uploads. Use it with `await using`. */
export async function openBatchApi(options: Parameters<typeof openApi>[0] = {}) {
  const api = await openApi(options);
  const store = openStore({ ...api.config, publicUrl: api.url, signingKey: new Uint8Array(32) });
  const generation = createGeneration(api.redis, api.prefix);
  await generation.find();
  const files = createBatchFiles({ store });
  const states = createBatchStates({ redis: api.redis, prefix: api.prefix, generation });
  return {
    ...api,
    store,
    files,
    states,
    upload: (body: string | Uint8Array | FormData, options: UploadOptions = {}) => upload(api, body, options),
    /** Makes a batch of CSV. */
    make: async (body = CSV, options: UploadOptions = {}) => {
      const answer = await upload(api, body, options);
      if (answer.status !== 202) throw new Error(`${answer.status}: ${JSON.stringify(answer.json)}`);
      return answer.json;
    },
    /** The keys of all objects in the store, but for that which says of which version it is. */
    keys: async (prefix = '') => {
      const keys: string[] = [];
      for await (const { key } of store.list(prefix)) if (key !== STORE_VERSION_KEY) keys.push(key);
      return keys;
    },
    /** Ends a batch as the workers do, with so many of its rows failed, and writes what they write. */
    end: async (
      id: string,
      { failed = 0, status = 'completed' }: { failed?: number; status?: 'completed' | 'canceled' } = {},
    ) => {
      const record = await files.readRecord(id);
      if (record === undefined) throw new Error(`There is no batch ${id}.`);
      const decision = await files.readDecision(id);
      const succeeded = status === 'canceled' ? 0 : record.rows - failed;
      const counts = { total: record.rows, rejected: 0, succeeded, failed, canceled: record.rows - succeeded - failed };
      const now = Date.now();
      await files.writeResults(
        id,
        0,
        now,
        Array.from({ length: succeeded + failed }, (_, i) => ({
          ...{ row: i + 1, run: decision?.runs ?? 0, attempts: 1, uncertain: 0, cost: 20_000_000 },
          ...{ started_at: now - 60_000, ended_at: now },
          ...(i < succeeded
            ? { status: 'succeeded' as const, output: [] }
            : { status: 'failed' as const, error: { code: 'bad_image' as const, detail: 'Cut off.' } }),
        })),
      );
      await files.put(
        `batches/${id}/manifest.json`,
        Buffer.from(
          JSON.stringify({
            ...{ format: 1, batch: id, status, counts, cost: 20_000_000 * (succeeded + failed), uncertain: 0 },
            ...{ runs: decision?.runs ?? 0, name: null, metadata: {}, created_at: record.created_at },
            ...{ started_at: now - 60_000, ended_at: now, results: [{ part: 0, version: now }] },
          }),
        ),
        'application/json',
      );
      await store.delete([`open/${id}`]);
      await api.redis.hset(`${api.prefix}batch:${id}`, {
        ...{ status, succeeded, failed, canceled: counts.canceled, cost: 20_000_000 * (succeeded + failed) },
        ...{ started_at: now - 60_000, ended_at: now },
      });
    },
    /** Lets Redis forget a batch that has ended, as it does after some days. */
    forget: (id: string) => api.redis.del(`${api.prefix}batch:${id}`),
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await api[Symbol.asyncDispose]();
    },
  };
}
export type BatchApi = Awaited<ReturnType<typeof openBatchApi>>;

/** One API for all tests of a file, for those that look only at what they made themselves. */
export function sharedBatchApi(): () => BatchApi {
  let api: BatchApi | undefined;
  beforeAll(async () => {
    api = await openBatchApi();
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  return () => {
    if (api === undefined) throw new Error('The shared API is there while tests run.');
    return api;
  };
}

export interface UploadOptions {
  readonly type?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

async function upload(
  api: Api,
  body: string | Uint8Array | FormData,
  { type = 'text/csv', query = {}, headers = {} }: UploadOptions,
): Promise<Answer> {
  const search = new URLSearchParams(query).toString();
  return api.call('POST', `/v1/batches${search === '' ? '' : `?${search}`}`, {
    headers: body instanceof FormData ? headers : { 'content-type': type, ...headers },
    body: body as NonNullable<RequestInit['body']>,
  });
}

/** A form as a browser sends it. */
export function form(
  file: string | Uint8Array,
  fields: Readonly<Record<string, string>> = {},
  name = 'prompts.csv',
): FormData {
  const data = new FormData();
  for (const [field, value] of Object.entries(fields)) data.append(field, value);
  data.append('file', new Blob([file as Uint8Array<ArrayBuffer>]), name);
  return data;
}
