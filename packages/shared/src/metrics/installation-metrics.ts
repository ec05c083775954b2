import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Check } from '../health/readiness.ts';
import type { Recovery } from '../recovery/recovery.ts';
import type { Redis } from '../redis/connect.ts';
import type { Generation } from '../redis/generation.ts';
import { GenerationLostError } from '../redis/script.ts';
import { readInstallation } from './installation.ts';
import { createInstallationFamilies } from './installation-families.ts';
import type { Metrics } from './metrics.ts';

/** What is read serves all who ask within this time, in milliseconds. */
const KEPT_MS = 2000;
/**
 * A scrape waits no longer than this for Redis and the store, in milliseconds: a little longer than the checks of readiness
 * do themselves. Prometheus gives up after ten seconds.
 */
const PATIENCE_MS = 1600;

/** Where it is read; none of this is there before the process has found its Redis. */
export interface InstallationSource {
  /** One that fails soon when Redis is away, as those for `api` do. */
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Pick<Generation, 'known'>;
  readonly recovery: Pick<Recovery, 'rebuilding'>;
  readonly readiness: () => Promise<readonly Check[]>;
}

/**
 * Metrics of the whole installation, which every process tells alike. They are read when somebody scrapes, and while Redis
 * does not answer there are none of what it knows; the scrape is answered all the same.
 * @returns to be told where to read, once that is known.
 */
export function addInstallationMetrics(
  metrics: Metrics,
  {
    config,
    clock,
  }: {
    readonly config: Pick<Config, 'SEGMIND_RPM' | 'SEGMIND_CONCURRENCY' | 'floor' | 'low'>;
    readonly clock: Clock;
  },
): (source: InstallationSource) => void {
  const plain = (name: `renderyard_${string}`, help: string) => metrics.gauge<never>({ name, help, labels: {} });
  const redisUp = plain('renderyard_redis_up', 'Whether Redis can be read and written: 1 or 0.');
  const storeUp = plain(
    'renderyard_store_up',
    'Whether the store can be read and written, as it was checked last: 1 or 0.',
  );
  const rebuilding = plain(
    'renderyard_rebuilding',
    'Whether this process waits for a Redis that is being rebuilt: 1 or 0.',
  );
  plain('renderyard_rate_limit_calls', 'Calls that may begin in any 60 seconds, of all workers.').set(
    {},
    config.SEGMIND_RPM,
  );
  plain('renderyard_slots_limit', 'Calls that may be in flight, of all workers.').set({}, config.SEGMIND_CONCURRENCY);
  const families = createInstallationFamilies(metrics);

  async function readFacts({ redis, prefix, generation }: InstallationSource): Promise<'read' | 'unread' | 'another'> {
    const { known } = generation;
    if (known === undefined) return 'another';
    try {
      const facts = await withinTime(readInstallation(redis, prefix, known));
      if (facts === undefined) return 'unread';
      families.set(facts, config);
      return 'read';
    } catch (error) {
      return error instanceof GenerationLostError ? 'another' : 'unread';
    }
  }

  async function withinTime<T>(promise: Promise<T>): Promise<T | undefined> {
    const timer = new AbortController();
    return Promise.race([promise, clock.sleep(PATIENCE_MS, timer.signal).then(() => undefined)]).finally(() =>
      timer.abort(),
    );
  }

  let redisOk: boolean | undefined;
  async function check({ readiness }: InstallationSource): Promise<void> {
    const checks = await readiness();
    const isOk = (name: Check['name']) => checks.find((check) => check.name === name)?.ok;
    redisOk = isOk('redis');
    const store = isOk('store');
    // A process that stops looks no more.
    if (store !== undefined) storeUp.set({}, store ? 1 : 0);
  }

  async function update(from: InstallationSource): Promise<void> {
    redisOk = undefined;
    // What comes too late is told by the next scrape.
    const [facts] = await Promise.all([readFacts(from), withinTime(check(from))]);
    if (facts !== 'read') families.clear();
    redisUp.set({}, facts !== 'unread' && redisOk !== false ? 1 : 0);
    rebuilding.set({}, facts === 'another' || from.recovery.rebuilding ? 1 : 0);
  }

  let source: InstallationSource | undefined;
  let last: { readonly at: number; readonly done: Promise<void> } | undefined;
  metrics.beforeReading(() => {
    const now = clock.now();
    if (source === undefined) return;
    if (last === undefined || now - last.at >= KEPT_MS || now < last.at) last = { at: now, done: update(source) };
    return last.done;
  });
  return (found) => {
    source = found;
  };
}
