import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@renderyard/shared/clock';
import { type ControlClient, createControlClient } from '@renderyard/simulator/control-client';
import { type SimulatorOptions, startSimulator } from '@renderyard/simulator/simulator';
import { inject } from 'vitest';
import { type ServiceProcess, startService } from './processes.ts';

/** What of a job's representation the flows look at. */
interface JobView {
  readonly id: string;
  readonly status: string;
  readonly hold: { readonly reason: string } | null;
  readonly input: Readonly<Record<string, unknown>> & { readonly prompt: string };
  readonly output: readonly { readonly key: string; readonly sha256: string; readonly bytes: number }[];
  readonly error: { readonly code: string } | null;
  readonly attempts: number;
  readonly uncertain: number;
  readonly cost: number;
  readonly created_at: string;
  readonly started_at: string | null;
}

interface CreditsView {
  readonly balance: number | null;
  readonly reserved: number;
  readonly spent: number;
  readonly holds: readonly { readonly reason: string }[];
  readonly uncertain: {
    readonly count: number;
    readonly credits: number;
    readonly calls: readonly { readonly job: string; readonly how: string }[];
  };
}

/** What of a batch's representation the flows look at. */
interface BatchView {
  readonly id: string;
  readonly status: string;
  readonly hold: { readonly reason: string; readonly detail: string } | null;
  readonly counts: Readonly<
    Record<'total' | 'rejected' | 'queued' | 'processing' | 'succeeded' | 'failed' | 'canceled', number>
  >;
  readonly cost: number;
  readonly uncertain: number;
  readonly ended_at: string | null;
}

/** A line of results.ndjson, as far as the flows look at it. */
interface RowView {
  readonly row: number;
  readonly status: string;
  readonly input: Readonly<Record<string, unknown>> & { readonly prompt: string };
  readonly output: readonly { readonly key: string; readonly sha256: string }[];
  readonly error: { readonly code: string } | null;
  readonly attempts: number;
  readonly uncertain: number;
  readonly cost: number;
  readonly started_at: string | null;
}

/** An API and workers as processes of their own, with a simulator and a folder or bucket: what a user runs. */
export interface Installation extends AsyncDisposable {
  readonly upstream: ControlClient;
  readonly api: ServiceProcess;
  /** Those that run; one that was killed is taken out by its test. */
  readonly workers: ServiceProcess[];
  readonly folder: string;
  /** What the services were started with. */
  readonly settings: Readonly<Record<string, string>>;
  /** @param root the folder of the source, where it is another version's. */
  startWorker(root?: string): Promise<ServiceProcess>;
  /** Starts another API in the place of one that has ended. */
  restartApi(root?: string): Promise<void>;
  /** `fetch` on the API; the body is sent as JSON. */
  call(method: string, path: string, body?: unknown): Promise<Response>;
  submit(prompts: readonly string[], parameters?: Readonly<Record<string, unknown>>): Promise<string[]>;
  jobs(ids: readonly string[]): Promise<JobView[]>;
  /** The jobs once all have ended. @throws after `patienceMs`. */
  ended(ids: readonly string[], patienceMs?: number): Promise<JobView[]>;
  credits(): Promise<CreditsView>;
  /** Uploads CSV, as a batch of small images unless the query says otherwise. @throws for any answer but 202. */
  upload(csv: string | Uint8Array, query?: Readonly<Record<string, string>>): Promise<BatchView>;
  batch(id: string): Promise<BatchView>;
  /** The batch once it is completed or canceled. @throws after `patienceMs`. */
  batchEnded(id: string, patienceMs?: number): Promise<BatchView>;
  /** All rows, from results.ndjson. */
  results(id: string): Promise<RowView[]>;
  until(what: string, check: () => Promise<boolean>, patienceMs?: number): Promise<void>;
}

export interface InstallationOptions {
  readonly simulator?: SimulatorOptions;
  readonly env?: Readonly<Record<string, string>>;
  readonly workers?: number;
  readonly redisUrl?: string;
}

const FINAL = new Set(['succeeded', 'failed', 'canceled', 'expired']);

export async function startInstallation({
  simulator = {},
  env = {},
  workers = 1,
  redisUrl = inject('redisUrl'),
}: InstallationOptions = {}): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), 'renderyard-flow-'));
  const running = await startSimulator(simulator);
  const settings = {
    REDIS_URL: redisUrl,
    REDIS_PREFIX: `flow-${randomBytes(8).toString('hex')}`,
    DATA_DIR: folder,
    PORT: '0',
    SEGMIND_BASE_URL: running.url,
    SEGMIND_API_KEY: `SG_${randomBytes(8).toString('hex')}`,
    SEGMIND_RPM: '6000',
    RENDER_BACKOFF_MS: '20',
    CREDIT_PROBE_MS: '500',
    CREDIT_LOW: '0',
    LOCK_MS: '2000',
    ...env,
  };
  let api = await startService({ service: 'api', env: settings });
  const call = (method: string, path: string, body?: unknown) =>
    fetch(new URL(path, api.url), {
      method,
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
  const json = async <T>(response: Promise<Response>): Promise<T> => {
    const answer = await response;
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as T;
  };

  const installation: Omit<Installation, typeof Symbol.asyncDispose> = {
    upstream: createControlClient(running.url),
    api,
    workers: [],
    folder,
    call,
    settings,
    async restartApi(root) {
      await api.exited;
      api = await startService({ service: 'api', env: settings, ...(root === undefined ? {} : { root }) });
    },
    async startWorker(root) {
      const worker = await startService({ service: 'worker', env: settings, ...(root === undefined ? {} : { root }) });
      installation.workers.push(worker);
      return worker;
    },
    async submit(prompts, parameters = {}) {
      const ids: string[] = [];
      let next = 0;
      const submitter = async () => {
        for (let i = next++; i < prompts.length; i = next++) {
          const input = { width: 64, height: 64, ...parameters, prompt: prompts[i] };
          ids[i] = (await json<JobView>(call('POST', '/v1/jobs', { input }))).id;
        }
      };
      await Promise.all([submitter(), submitter(), submitter(), submitter()]);
      return ids;
    },
    jobs: (ids) => Promise.all(ids.map((id) => json<JobView>(call('GET', `/v1/jobs/${id}`)))),
    async ended(ids, patienceMs = 60_000) {
      let found: JobView[] = [];
      await installation.until(
        'all jobs have ended',
        async () => {
          // 503 while Redis is away is an answer that says to ask again.
          found = await installation.jobs(ids).catch((error: Error) => {
            if (error.message.startsWith('503')) return [];
            throw error;
          });
          return found.length === ids.length && found.every((job) => FINAL.has(job.status));
        },
        patienceMs,
      );
      return found;
    },
    upload(csv, query = {}) {
      const options = new URLSearchParams({ defaults: '{"width":64,"height":64}', ...query });
      const headers = { 'content-type': 'text/csv' };
      return json(fetch(new URL(`/v1/batches?${options}`, api.url), { method: 'POST', headers, body: csv as string }));
    },
    batch: (id) => json<BatchView>(call('GET', `/v1/batches/${id}`)),
    async batchEnded(id, patienceMs = 60_000) {
      let found: BatchView | undefined;
      await installation.until(
        'the batch has ended',
        async () => {
          // 503 while Redis is away or being rebuilt is an answer that says to ask again.
          found = await installation.batch(id).catch((error: Error) => {
            if (error.message.startsWith('503')) return undefined;
            throw error;
          });
          return found?.status === 'completed' || found?.status === 'canceled';
        },
        patienceMs,
      );
      return found as BatchView;
    },
    async results(id) {
      const answer = await call('GET', `/v1/batches/${id}/results.ndjson`);
      if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
      const lines = (await answer.text()).split('\n').filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line) as RowView);
    },
    credits: () => json<CreditsView>(call('GET', '/v1/credits')),
    async until(what, check, patienceMs = 30_000) {
      const deadline = Date.now() + patienceMs;
      while (!(await check())) {
        if (Date.now() > deadline)
          throw new Error(
            `Waited in vain: ${what}.\n${JSON.stringify(installation.workers.flatMap((worker) => worker.logs.filter((line) => Number(line.level) >= 40)).slice(-10))}`,
          );
        await systemClock.sleep(100);
      }
    },
  };
  await Promise.all(Array.from({ length: workers }, () => installation.startWorker()));
  return {
    ...installation,
    get api() {
      return api;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...installation.workers, api].map((service) => service[Symbol.asyncDispose]()));
      await running.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
