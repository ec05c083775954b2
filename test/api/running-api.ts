import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamLimits } from '@renderyard/api/live/event-streams';
import { startApi } from '@renderyard/api/start-api';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig } from '@renderyard/shared/config';
import { createLedger } from '@renderyard/shared/credits/ledger';
import type { Image } from '@renderyard/shared/job/job';
import { createJobStore } from '@renderyard/shared/job/job-store';
import { createTicketQueue } from '@renderyard/shared/job/ticket-queue';
import { createLogger } from '@renderyard/shared/logger';
import { connectRedis } from '@renderyard/shared/redis/connect';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { keyPrefix, queuePrefix } from '@renderyard/shared/redis/keys';
import { afterAll, beforeAll, expect, inject } from 'vitest';

// biome-ignore lint/suspicious/noExplicitAny: what came over the wire, looked at by the test
type Json = any;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Json;
}

export type Api = Awaited<ReturnType<typeof openApi>>;

/** An image as a worker would have stored it. */
export const IMAGE: Image = {
  key: 'jobs/picture.png',
  content_type: 'image/png',
  bytes: 4,
  width: 64,
  height: 64,
  sha256: 'ab'.repeat(32),
  seed: 7,
};

/**
 * An API that listens on a port of its own, with its own keys in Redis and its own store in a folder, and the same
 * stores as a worker would have them. Use it with `await using`.
 */
export async function openApi({
  env = {},
  redisUrl = inject('redisUrl'),
  ...options
}: {
  readonly env?: Readonly<Record<string, string>>;
  readonly redisUrl?: string;
  readonly stallMs?: number;
  readonly requestMs?: number;
  readonly streamLimits?: StreamLimits;
} = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'renderyard-api-'));
  const own = `test-${randomBytes(6).toString('hex')}`;
  const config = readConfig({ PORT: '0', DATA_DIR: dataDir, REDIS_PREFIX: own, FEED_WINDOW: '4', ...env });
  // Of another API, where this is one more of its installation.
  const name = config.REDIS_PREFIX;
  const logs: Json[] = [];
  const logger = createLogger({
    service: 'api',
    level: 'debug',
    destination: { write: (line: string) => void logs.push(JSON.parse(line)) },
  });
  const api = await startApi({ config, redisUrl, clock: systemClock, logger, ...options });

  const prefix = keyPrefix(name);
  const redis = connectRedis(redisUrl, 'worker', logger);
  const generation = createGeneration(redis, prefix);
  // The API itself makes a new Redis ready; it may take longer than its start.
  while ((await generation.find()) === 'missing') await sleep(20);
  const jobs = createJobStore({ redis, prefix, generation });
  const ledger = createLedger({ redis, prefix, generation });
  const queue = createTicketQueue({ redis, prefix: queuePrefix(name) });

  const call = async (method: string, path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(new URL(path, api.url), { method, redirect: 'manual', ...init });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    if (response.status >= 400) {
      expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
      expect(JSON.parse(text)).toMatchObject({
        type: expect.stringMatching(/^urn:renderyard:error:/),
        status: response.status,
        request_id: response.headers.get('x-request-id'),
      });
    }
    return { status: response.status, headers: response.headers, json: isJson ? JSON.parse(text) : text };
  };

  return {
    url: api.url,
    config,
    dataDir,
    prefix,
    redis,
    jobs,
    ledger,
    queue,
    logs,
    get: (path: string, headers: Record<string, string> = {}) => call('GET', path, { headers }),
    call,
    /** Posts a value as JSON, or nothing where it is undefined. */
    post: (path: string, body?: unknown, headers: Record<string, string> = {}) =>
      call('POST', path, {
        headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    submit: async (input: object = { prompt: 'A lighthouse at dawn' }, headers: Record<string, string> = {}) => {
      const answer = await call('POST', '/v1/jobs', {
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ input }),
      });
      expect(answer.status).toBe(202);
      return answer.json;
    },
    /** Ends a job as a worker does. */
    succeed: (job: string, image = IMAGE) => jobs.record({ job, status: 'succeeded', output: [image] }, 1000),
    fail: (job: string) =>
      jobs.record({ job, status: 'failed', error: { code: 'bad_image', detail: 'The image is cut off.' } }, 1000),
    /** Puts a call of a job in flight. */
    startCall: (job: string) => admit(ledger, job),
    stop: async () => {
      for (const phase of api.phases()) await phase.stop();
    },
    [Symbol.asyncDispose]: async () => {
      for (const phase of api.phases()) await phase.stop();
      await queue.close();
      if (redis.status === 'ready') {
        const keys = await redis.keys(`{${own}}*`);
        if (keys.length > 0) await redis.del(keys);
      }
      redis.disconnect();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** One API for all tests of a file or a group, for those that leave nothing behind that another would see. */
export function sharedApi(options: Parameters<typeof openApi>[0] = {}): () => Api {
  let api: Api | undefined;
  beforeAll(async () => {
    api = await openApi(options);
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  return () => {
    if (api === undefined) throw new Error('The shared API is there while tests run.');
    return api;
  };
}

async function admit(ledger: ReturnType<typeof createLedger>, job: string): Promise<string> {
  const thresholds = { floor: 0, resume: 0, estimate: 1 };
  await ledger.takeReading(10_000_000_000, await ledger.beginReading(), thresholds);
  const call = `call_${job}`;
  const verdict = await ledger.admit(
    { job, call, worker: 'wrk_test', model: 'm', costClass: 'stable|30|64x64', estimate: 20_000_000 },
    { floor: 0, slots: 10, perMinute: 60_000, timeoutMs: 1000, trialMs: 1000 },
  );
  expect(verdict.verdict).toBe('go');
  return call;
}
