import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig } from '@renderyard/shared/config';
import { parseCredits } from '@renderyard/shared/credits/amount';
import { createLedger } from '@renderyard/shared/credits/ledger';
import { newId } from '@renderyard/shared/ids';
import { feed } from '@renderyard/shared/job/feed';
import { isFinal, type Job } from '@renderyard/shared/job/job';
import { createJobStore } from '@renderyard/shared/job/job-store';
import { createTicketQueue } from '@renderyard/shared/job/ticket-queue';
import { createKnownSecrets } from '@renderyard/shared/known-secrets';
import { createLogger } from '@renderyard/shared/logger';
import { checkInput } from '@renderyard/shared/model/input';
import { DEFAULT_MODEL, findModel } from '@renderyard/shared/model/model';
import { connectRedis, type Redis } from '@renderyard/shared/redis/connect';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { keyPrefix, queuePrefix } from '@renderyard/shared/redis/keys';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import type { Store } from '@renderyard/shared/store/store';
import { type ControlClient, createControlClient } from '@renderyard/simulator/control-client';
import { type SimulatorOptions, startSimulator } from '@renderyard/simulator/simulator';
import { createUpstreamKey } from '@renderyard/worker/segmind/upstream-key';
import { startWorker } from '@renderyard/worker/start-worker';
import { inject } from 'vitest';

/** A worker, or several, with a simulator, a folder as the store, and keys of their own in the run's Redis. */
export interface Rig extends AsyncDisposable {
  readonly upstream: ControlClient;
  readonly jobs: ReturnType<typeof createJobStore>;
  readonly ledger: ReturnType<typeof createLedger>;
  readonly store: Store;
  readonly logs: readonly Readonly<Record<string, unknown>>[];
  readonly folder: string;
  /** The connection and the prefix of its keys, for a test that breaks something there. */
  readonly redis: Redis;
  readonly prefix: string;
  /** Submits one job a prompt, as the API would; returns their ids. */
  submit(prompts: readonly string[], parameters?: Readonly<Record<string, unknown>>): Promise<string[]>;
  job(id: string): Promise<Job>;
  /** The jobs, once all have ended. @throws after 25 s, saying in what state they are. */
  ended(ids: readonly string[]): Promise<Job[]>;
  /** Resolves when the check, looked at again and again, is true. @throws after 20 s. */
  until(what: string, check: () => Promise<boolean>): Promise<void>;
  /** Takes the upstream off the network; `back` puts a new one, which knows nothing of the old, in its place. */
  upstreamGone(): Promise<{ back: () => Promise<void> }>;
  /** With the key that is given, or the settings' key or key file, or any that the simulator takes. */
  addWorker(apiKey?: string): Promise<void>;
  /** Stops the workers as SIGTERM would. */
  stopWorkers(): Promise<void>;
}

export interface RigOptions {
  readonly simulator?: SimulatorOptions;
  /** Settings that differ from: 6,000 calls a minute, 8 at once, backoff 5 ms, holds tried every 300 ms. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly workers?: number;
  /** Wraps the store that the workers would open; for stores that fail. */
  readonly redisUrl?: string;
}

export async function createRig({
  simulator = {},
  settings = {},
  workers = 1,
  redisUrl = inject('redisUrl'),
}: RigOptions = {}): Promise<Rig> {
  const folder = await mkdtemp(join(tmpdir(), 'renderyard-rig-'));
  let running = await startSimulator(simulator);
  const { url } = running;
  const logs: Record<string, unknown>[] = [];
  const secrets = createKnownSecrets();
  const logger = createLogger({
    service: 'rig',
    secrets,
    level: 'debug',
    destination: { write: (line: string) => void logs.push(JSON.parse(line)) },
  });
  const config = readConfig({
    REDIS_PREFIX: `rig-${randomBytes(8).toString('hex')}`,
    DATA_DIR: folder,
    SEGMIND_BASE_URL: url,
    SEGMIND_RPM: '6000',
    SEGMIND_CONCURRENCY: '8',
    RENDER_BACKOFF_MS: '5',
    CREDIT_PROBE_MS: '300',
    CREDIT_LOW: '0',
    LOCK_MS: '5000',
    ...settings,
  });
  const prefix = keyPrefix(config.REDIS_PREFIX);
  const redis = connectRedis(redisUrl, 'worker', logger);
  const generation = createGeneration(redis, prefix);
  await generation.join();
  const jobs = createJobStore({ redis, prefix, generation });
  const ledger = createLedger({ redis, prefix, generation });
  const queue = createTicketQueue({ redis, prefix: queuePrefix(config.REDIS_PREFIX) });
  const store = createDirectoryStore({
    directory: join(folder, 'store'),
    publicUrl: 'http://127.0.0.1',
    signingKey: randomBytes(32),
  });
  const started: Awaited<ReturnType<typeof startWorker>>[] = [];

  const rig: Omit<Rig, typeof Symbol.asyncDispose> = {
    upstream: createControlClient(url),
    jobs,
    ledger,
    store,
    logs,
    folder,
    redis,
    prefix,
    async submit(prompts, parameters = {}) {
      const model = findModel(DEFAULT_MODEL);
      if (model === undefined) throw new Error('there is no default model');
      const ids: string[] = [];
      for (const prompt of prompts) {
        const checked = checkInput(model, { width: 64, height: 64, prompt, ...parameters });
        if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
        const id = newId('job');
        await jobs.create(
          {
            id,
            account: 'default',
            model: model.slug,
            input: checked.input,
            metadata: {},
            createdAt: Date.now(),
            expiresAt: undefined,
          },
          100_000,
        );
        ids.push(id);
      }
      await feed({ jobs, queue, window: config.FEED_WINDOW });
      return ids;
    },
    async job(id) {
      const job = await jobs.get(id);
      if (job === undefined) throw new Error(`there is no job ${id}`);
      return job;
    },
    async ended(ids) {
      let found: Job[] = [];
      try {
        await rig.until('all jobs have ended', async () => {
          found = await Promise.all(ids.map(rig.job));
          return found.every((job) => isFinal(job.status));
        });
      } catch (error) {
        const holds = await ledger.holds(Date.now());
        throw new Error(
          `${String(error)}\n${JSON.stringify(found.filter((job) => !isFinal(job.status)).slice(0, 5))}\n${JSON.stringify(holds)}\n${JSON.stringify(logs.filter((line) => Number(line.level) >= 40).slice(-10))}`,
        );
      }
      return found;
    },
    async until(what, check) {
      const deadline = Date.now() + 20_000;
      while (!(await check())) {
        if (Date.now() > deadline) throw new Error(`Waited in vain: ${what}.`);
        await systemClock.sleep(20);
      }
    },
    async upstreamGone() {
      await running.close();
      const port = Number(new URL(url).port);
      return {
        back: async () => {
          running = await startSimulator({ ...simulator, port });
        },
      };
    },
    async addWorker(apiKey) {
      const file = config.SEGMIND_API_KEY_FILE;
      const made = file === undefined ? `SG_${randomBytes(8).toString('hex')}` : undefined;
      const setting = apiKey ?? config.SEGMIND_API_KEY ?? made;
      started.push(
        await startWorker({
          config,
          redisUrl,
          key: await createUpstreamKey({ setting, file, secrets, logger }),
          dataFolder: join(folder, 'worker'),
          clock: systemClock,
          logger,
        }),
      );
    },
    async stopWorkers() {
      await Promise.all(
        started.splice(0).map(async ({ phases }) => {
          for (const phase of phases()) await Promise.race([phase.stop(), systemClock.sleep(phase.deadlineMs)]);
        }),
      );
    },
  };
  for (let i = 0; i < workers; i++) await rig.addWorker();
  return {
    ...rig,
    [Symbol.asyncDispose]: async () => {
      await rig.stopWorkers();
      await queue.close();
      await store.close();
      await redis.quit();
      await running.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** What the books say of a cost that the upstream states exactly: nanocredits, rounded up. */
export function nano(exact: string): number {
  return parseCredits(exact, 'up') ?? Number.NaN;
}
