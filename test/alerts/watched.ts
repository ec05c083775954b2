import { createServer } from 'node:http';
import { type Installation, startInstallation } from '../support/installation.ts';
import type { ServiceProcess } from '../support/processes.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { type RedisInstance, startRedisInstance } from '../support/redis-instance.ts';
import { type Listener, openListener } from '../webhook/listener.ts';
import { listen } from '../webhook/receiver.ts';

/** The jobs of Prometheus: each is an installation. */
export const WORKING = 'renderyard-working';
export const BREAKING = 'renderyard-breaking';
/** Calls a minute of the second installation. */
export const FEW_CALLS = 1;

/** Two installations, and a Prometheus that watches them. */
export interface Watched extends AsyncDisposable {
  readonly prometheus: Prometheus;
  /** Faults of the upstream, of receivers and of single processes happen here. */
  readonly working: Installation;
  /** This one may make few calls, and is ruined. */
  readonly breaking: Installation;
  /** Its Redis. */
  readonly redis: RedisInstance;
  readonly receiver: Listener;
  /** What a third process, which is not there, says of itself from now on. */
  speak(metrics: string): void;
  /** Resolves once all of these alerts have fired since then. @throws after a minute, with those that have. */
  untilFired(job: string, alerts: readonly string[], since: number): Promise<void>;
  /** The alerts that have fired since then (milliseconds since 1970), for however short a time. */
  fired(job: string, since: number): Promise<ReadonlySet<string>>;
}

/** A scrape may take 1.6 s while Redis does not answer. */
const SCRAPE_S = 2;
const PATIENCE_MS = 60_000;

async function watchersPort(service: ServiceProcess): Promise<string> {
  const { url } = await service.untilLog(({ msg }) => msg === 'metrics and health are served');
  return new URL(String(url)).host;
}

/** A process that says what it is told to say, since no other version is at hand. */
async function openVoice() {
  let body = '';
  const server = createServer((_request, response) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end(body),
  );
  const { port, ...listening } = await listen(server);
  const speak = (metrics: string) => {
    body = metrics;
  };
  return { ...listening, target: `127.0.0.1:${port}`, speak };
}

/** Starts all of it. @param rules for Prometheus. */
export async function startWatched(programs: string, rules: string): Promise<Watched> {
  await using stack = new AsyncDisposableStack();
  const env = { METRICS_PORT: '0', WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', UNCERTAIN_RETRIES: '0', RENDER_ATTEMPTS: '2' };
  const steady = stack.use(await startRedisInstance());
  const redis = stack.use(await startRedisInstance());
  const receiver = stack.use(await openListener());
  const voice = stack.use(await openVoice());
  const [working, breaking] = await Promise.all([
    startInstallation({ simulator: { balance: 100 }, redisUrl: steady.url, env: { ...env, CREDIT_LOW: '1' } }),
    startInstallation({
      simulator: { balance: 100 },
      redisUrl: redis.url,
      env: { ...env, SEGMIND_RPM: String(FEW_CALLS) },
    }),
  ]);
  stack.use(working);
  stack.use(breaking);
  const job = async (name: string, yard: Installation, more: readonly string[] = []) => {
    const targets = [...(await Promise.all([yard.api, ...yard.workers].map(watchersPort))), ...more];
    return `  - { job_name: ${name}, static_configs: [{ targets: ${JSON.stringify(targets)} }] }`;
  };
  const config = `global: { scrape_interval: ${SCRAPE_S}s, scrape_timeout: ${SCRAPE_S}s, evaluation_interval: 250ms }
scrape_configs:
${await job(WORKING, working, [voice.target])}
${await job(BREAKING, breaking)}`;
  const prometheus = stack.use(await startPrometheus({ programs, config, rules }));

  const fired = async (of: string, since: number) => {
    const range = `${Math.max(1, Date.now() - since)}ms`;
    const series = await prometheus.query(`count_over_time(ALERTS{alertstate="firing",job="${of}"}[${range}])`);
    return new Set(series.map(({ alertname = '' }) => alertname));
  };
  const owned = stack.move();
  return {
    prometheus,
    working,
    breaking,
    redis,
    receiver,
    speak: voice.speak,
    fired,
    async untilFired(of, alerts, since) {
      let seen: ReadonlySet<string> = new Set();
      const waited = working.until(
        'the alerts fire',
        async () => {
          seen = await fired(of, since);
          return alerts.every((alert) => seen.has(alert));
        },
        PATIENCE_MS,
      );
      await waited.catch((error: unknown) => {
        const missing = alerts.filter((alert) => !seen.has(alert));
        throw new Error(`${missing.join(', ')} did not fire; ${[...seen].join(', ')} did.`, { cause: error });
      });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
