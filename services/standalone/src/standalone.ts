import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { Clock } from '@renderyard/shared/clock';
import type { StopPhase } from '@renderyard/shared/lifecycle';
import { checkPort } from './check-port.ts';
import { claimDataDir } from './claim-data-dir.ts';
import type { LockFile } from './lock-file.ts';
import type { LogRelay } from './log-relay.ts';
import { startRedis } from './redis-server.ts';
import { type ServiceProcess, startServiceProcess } from './service-process.ts';
import type { StandaloneSettings } from './standalone-settings.ts';
import { type GaveUpError, type Running, type Supervised, supervise } from './supervisor.ts';

type Service = 'api' | 'worker' | 'simulator';
type Env = Readonly<Record<string, string | undefined>>;

/** What a phase of stopping may take beyond what the process it stops may take. */
const MARGIN_MS = 1_000;
/**
 * What a service may take beyond SHUTDOWN_GRACE_MS before it is killed. The worker takes the longest: 2 s until it takes
 * no more tickets, after the grace 5 s to break off calls and keep paid images on disk, 3.5 s to close, 2 s to send its
 * last spans, and some to spare.
 */
const BEYOND_GRACE_MS = 14_000;
const START_STOP_MS = 5_000;
const SIMULATOR_STOP_MS = 3_000;
const REDIS_STOP_MS = 12_000;

/** The main.ts of each service. */
export type ServiceFiles = Readonly<Record<Service, string>>;

/** All of Renderyard as one: Redis, the simulator where there is no key, the worker and the API. */
export interface Standalone {
  /**
   * Starts what is needed, in order, and resolves when the API answers. The data directory must be there.
   * @throws {DataDirInUseError | PortError | NoRedisError | RedisStartError | ServiceStartError}
   */
  start(): Promise<{ readonly url: string }>;
  /** How to stop what runs by now: no new work, the work in hand, then what it needed. */
  phases(): readonly StopPhase[];
  /** Ends the services at once. We must end then, and Redis ends with us, in order. */
  kill(): void;
  /** Resolves when something ended too often to be started again. */
  readonly gaveUp: Promise<GaveUpError>;
}

export function createStandalone(options: {
  readonly settings: StandaloneSettings;
  readonly env: Env;
  readonly files: ServiceFiles;
  readonly logs: LogRelay;
  readonly clock: Clock;
  /** Told what a person should know. */
  readonly notice: (text: string) => void;
}): Standalone {
  const { settings, files, logs, clock, notice } = options;
  const dataDir = resolve(settings.dataDir);
  /** How long an API or a worker may take to stop. */
  const stopMsOf = (name: Service) => settings.graceMs + BEYOND_GRACE_MS + (name === 'api' ? settings.delayMs : 0);
  const stopping = new AbortController();
  const running = new Map<Service | 'redis', Supervised<Running>>();
  let lock: LockFile | undefined;
  let giveUp = (_error: GaveUpError) => {};
  const gaveUp = new Promise<GaveUpError>((done) => {
    giveUp = done;
  });

  const watch = async <R extends Running>(name: Service | 'redis', start: (signal: AbortSignal) => Promise<R>) => {
    const supervised = await supervise({ name, start, clock, notice });
    running.set(name, supervised);
    void supervised.gaveUp.then(giveUp);
    return supervised;
  };

  const startRedisOfOurs = async () => {
    let port: number | undefined;
    let password: string | undefined;
    const supervised = await watch('redis', async () => {
      const server = await startRedis({
        dataDir,
        persistence: 'aof',
        env: options.env,
        notice,
        signal: stopping.signal,
        onLine: logs.fileOf('redis'),
        ...(port === undefined ? {} : { port }),
        ...(password === undefined ? {} : { password }),
      });
      // A new one must be found where the services know it to be.
      ({ port, password } = server);
      return server;
    });
    return supervised.current.url;
  };

  const startService = (name: Service, env: Env, portSetting = 'PORT') => {
    let again: Env = {};
    return watch(name, async (signal) => {
      const service: ServiceProcess = await startServiceProcess({
        name,
        file: files[name],
        env: { ...env, ...again },
        onLine: logs.of(name),
        orphanMs: stopMsOf(name),
        signal: AbortSignal.any([signal, stopping.signal]),
      });
      // It was given any free port the first time; from now on others know it by this one.
      if (env[portSetting] === '0' && service.url !== undefined) again = { [portSetting]: new URL(service.url).port };
      return service;
    });
  };

  const start = async () => {
    lock = await claimDataDir(dataDir);
    await checkPort(settings.host, settings.port);
    const redisUrl = settings.redisUrl ?? (await startRedisOfOurs());
    stopping.signal.throwIfAborted();
    const shared: Env = {
      NODE_COMPILE_CACHE: join(dataDir, 'compiled'),
      ...options.env,
      DATA_DIR: dataDir,
      REDIS_URL: redisUrl,
    };
    let segmind: Env = {};
    if (settings.simulate) {
      const at = { SIMULATOR_HOST: '127.0.0.1', SIMULATOR_PORT: shared.SIMULATOR_PORT || '0' };
      const simulator = await startService('simulator', { ...shared, ...at }, 'SIMULATOR_PORT');
      segmind = {
        SEGMIND_BASE_URL: simulator.current.url,
        SEGMIND_API_KEY: `SG_${randomBytes(8).toString('hex')}`,
      };
    }
    // One port of that name is there for one process: the API tells of its health on its own.
    const at = { HOST: settings.host, PORT: String(settings.port), METRICS_PORT: '' };
    const api = startService('api', { ...shared, ...segmind, ...at });
    const worker = startService('worker', { ...shared, ...segmind });
    try {
      await Promise.all([api, worker]);
    } catch (error) {
      stopping.abort();
      await Promise.allSettled([api, worker]);
      throw error;
    }
    const { url } = (await api).current;
    if (url === undefined) throw new Error('The API is ready but did not say where.');
    return { url };
  };

  const phase = (name: Service | 'redis', deadlineMs: number): StopPhase => ({
    name,
    deadlineMs: deadlineMs + MARGIN_MS,
    stop: async () => {
      const supervised = running.get(name);
      if (supervised === undefined) return;
      await supervised.stop(deadlineMs);
      running.delete(name);
    },
  });

  let started: ReturnType<typeof start> | undefined;
  return {
    gaveUp,
    start: () => {
      started ??= start();
      return started;
    },
    phases: () => {
      stopping.abort();
      return [
        // What is being started sees that it is to stop, and then is in the list or gone.
        { name: 'starting', deadlineMs: START_STOP_MS, stop: async () => started?.catch(() => undefined) },
        phase('api', stopMsOf('api')),
        phase('worker', stopMsOf('worker')),
        phase('simulator', SIMULATOR_STOP_MS),
        phase('redis', REDIS_STOP_MS),
        { name: 'lock', deadlineMs: MARGIN_MS, stop: async () => lock?.release() },
      ];
    },
    kill: () => {
      stopping.abort();
      // Redis ends by its guard as soon as we are gone, with a SIGTERM.
      for (const [name, supervised] of running) if (name !== 'redis') supervised.kill();
    },
  };
}
