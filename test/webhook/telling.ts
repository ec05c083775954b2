import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { createBatchStates } from '@renderyard/shared/batch/batch-states';
import { systemClock } from '@renderyard/shared/clock';
import { createKnownSecrets } from '@renderyard/shared/known-secrets';
import { createLogger } from '@renderyard/shared/logger';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import type { EventType } from '@renderyard/shared/webhook/event-type';
import { createWebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { createControlClient } from '@renderyard/simulator/control-client';
import { type SimulatorOptions, startSimulator } from '@renderyard/simulator/simulator';
import { createUpstreamKey } from '@renderyard/worker/segmind/upstream-key';
import { startWorker } from '@renderyard/worker/start-worker';
import { inject } from 'vitest';
import { openApi } from '../api/running-api.ts';

export type Yard = Awaited<ReturnType<typeof openTellingYard>>;

const FINAL = new Set(['succeeded', 'failed', 'canceled', 'expired', 'completed']);

/**
 * An API and workers in this process, with a simulator, that may send webhooks to this machine. An attempt is repeated a
 * second after the last, twice. Use it with `await using`.
 */
export async function openTellingYard({
  env = {},
  simulator = {},
  workers = 1,
  redisUrl,
}: {
  readonly env?: Readonly<Record<string, string>>;
  readonly simulator?: SimulatorOptions;
  readonly workers?: number;
  readonly redisUrl?: string;
} = {}) {
  const upstream = await startSimulator(simulator);
  const api = await openApi({
    env: {
      SEGMIND_BASE_URL: upstream.url,
      SEGMIND_RPM: '6000',
      SEGMIND_CONCURRENCY: '8',
      RENDER_BACKOFF_MS: '5',
      CREDIT_PROBE_MS: '300',
      CREDIT_LOW: '0',
      LOCK_MS: '5000',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
      WEBHOOK_SCHEDULE_S: '0,1,1',
      WEBHOOK_TIMEOUT_MS: '2000',
      ...env,
    },
    ...(redisUrl === undefined ? {} : { redisUrl }),
  });
  const config = { ...api.config, PUBLIC_URL: new URL(api.url).origin };
  const folder = await mkdtemp(join(tmpdir(), 'renderyard-telling-'));
  const logs: Record<string, unknown>[] = [];
  const secrets = createKnownSecrets();
  const destination = { write: (line: string) => void logs.push(JSON.parse(line)) };
  const logger = createLogger({ service: 'worker', level: 'debug', secrets, destination });
  const generation = createGeneration(api.redis, api.prefix);
  await generation.find();
  const store = createDirectoryStore({
    directory: join(api.dataDir, 'store'),
    publicUrl: 'http://127.0.0.1',
    signingKey: randomBytes(32),
  });
  const { redis, prefix } = api;
  const started: { phases: Awaited<ReturnType<typeof startWorker>>['phases'] }[] = [];

  const yard = {
    ...api,
    workerLogs: logs,
    generation,
    store,
    files: createBatchFiles({ store }),
    states: createBatchStates({ redis, prefix, generation }),
    webhooks: createWebhookStore({ redis, prefix, generation }),
    upstream: createControlClient(upstream.url),
    async addWorker(over: Partial<typeof config> = {}) {
      const one = await startWorker({
        config: { ...config, ...over },
        redisUrl: redisUrl ?? inject('redisUrl'),
        key: await createUpstreamKey({
          setting: `SG_${randomBytes(8).toString('hex')}`,
          file: undefined,
          secrets,
          logger,
        }),
        dataFolder: join(folder, `worker-${started.length}`),
        clock: systemClock,
        logger,
      });
      started.push(one);
    },
    /** Stops the workers as SIGTERM would. */
    async stopWorkers() {
      await Promise.all(
        started.splice(0).map(async ({ phases }) => {
          for (const phase of phases()) await Promise.race([phase.stop(), systemClock.sleep(phase.deadlineMs)]);
        }),
      );
    },
    async until(what: string, check: () => boolean | Promise<boolean>, patienceMs = 20_000) {
      const end = Date.now() + patienceMs;
      while (!(await check())) {
        if (Date.now() > end)
          throw new Error(
            `Waited in vain: ${what}.\n${JSON.stringify(logs.filter(({ level }) => Number(level) >= 40).slice(-10))}`,
          );
        await systemClock.sleep(20);
      }
    },
    /**
     * Waits until nothing is left that could still come, provided that nothing more happens: all events have become
     * deliveries, nobody has anything to catch up on, and all deliveries have ended.
     * @param parked a receiver whose deliveries wait for longer than the test
     */
    async untilQuiet(parked?: string) {
      await yard.until('nothing is left that could come', async () => (await leftToTell(yard, parked)) === 0);
    },
    /** Registers an endpoint; @returns its id and its secret. */
    async endpoint(url: string, events: readonly EventType[] | null = null) {
      const { status, json } = await api.post('/v1/webhooks', { url, events });
      if (status !== 201) throw new Error(JSON.stringify(json));
      return { id: String(json.id), secret: String(json.secret) };
    },
    async change(id: string, patch: object) {
      const { status, json } = await api.call('PATCH', `/v1/webhooks/${id}`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(patch),
      });
      if (status !== 200) throw new Error(JSON.stringify(json));
      return json;
    },
    /** Submits a small job; @returns its id. */
    async render(prompt: string, more: object = {}): Promise<string> {
      const { status, json } = await api.post('/v1/jobs', { input: { prompt, width: 64, height: 64 }, ...more });
      if (status !== 202) throw new Error(JSON.stringify(json));
      return json.id;
    },
    /** Uploads small rows; @returns the id of the batch. */
    async upload(prompts: readonly string[], query: Readonly<Record<string, string>> = {}): Promise<string> {
      const options = new URLSearchParams({ defaults: '{"width":64,"height":64}', ...query });
      const { status, json } = await api.call('POST', `/v1/batches?${options}`, {
        headers: { 'content-type': 'text/csv' },
        body: `prompt\n${prompts.join('\n')}\n`,
      });
      if (status !== 202) throw new Error(JSON.stringify(json));
      return json.id;
    },
    /** A job or a batch once it has ended. */
    async ended(id: string, patienceMs = 20_000) {
      const path = id.startsWith('bat_') ? `/v1/batches/${id}` : `/v1/jobs/${id}`;
      let json = (await api.get(path)).json;
      await yard.until(
        `${id} ends`,
        async () => {
          json = (await api.get(path)).json;
          return FINAL.has(json.status);
        },
        patienceMs,
      );
      return json;
    },
    /** An endpoint's deliveries as the API shows them, each with its attempts, the newest first. */
    async deliveries(endpoint: string) {
      const { json } = await api.get(`/v1/deliveries?webhook_id=${endpoint}&limit=100`);
      return json.data;
    },
    [Symbol.asyncDispose]: async () => {
      await yard.stopWorkers();
      await store.close();
      await api[Symbol.asyncDispose]();
      await upstream.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  for (let i = 0; i < workers; i++) await yard.addWorker();
  return yard;
}

/** Counted in one step, as each of these becomes the next, or another, in one step. */
async function leftToTell({ redis, prefix }: Pick<Yard, 'redis' | 'prefix'>, parked = ''): Promise<number> {
  const outbox = `${prefix}outbox`;
  const counts = await redis
    .multi()
    .xlen(outbox)
    .scard(`${prefix}missed`)
    .zcard(`${prefix}owed`)
    .zcard(`${prefix}leases`)
    .zcard(`${prefix}dlvs:default:pending`)
    .zscore(`${prefix}owed`, parked)
    .exec();
  const [events = 0, missed = 0, owed = 0, leases = 0, pending = 0, isParked] = (counts ?? []).map(([error, value]) => {
    if (error !== null) throw error;
    return value === null ? undefined : Number(value);
  });
  return events + missed + leases + (isParked === undefined ? owed + pending : owed - 1);
}
