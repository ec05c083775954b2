import { Redis as IoRedis } from 'ioredis';
import type { Logger } from '../logger.ts';
import { connectCluster } from './cluster.ts';
import { isCredentialsRefusal } from './credentials-refusal.ts';
import { gatherWrites } from './gather-writes.ts';
import { parseRedisUrl, REDIS_URL_FORMS } from './redis-url.ts';
import { connectBySentinels } from './sentinel.ts';

/**
 * A connection to what REDIS_URL names: one server, the master that sentinels know, or a cluster. On a cluster
 * commands without a key go to any node, and `duplicate` gives a connection for subscriptions alone, to one node.
 */
export type Redis = IoRedis;

/** What a connection is for decides how it fails. */
export type RedisUse =
  /** Answers to people: fails within two seconds when Redis is away. */
  | 'api'
  /** A worker's scripts: waits for Redis to come back, so that the end of a paid call is not lost. */
  | 'worker'
  /** BullMQ's blocking reads, which must wait without limit. */
  | 'blocking';

const OPTIONS = {
  api: { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 1500, connectTimeout: 2000 },
  worker: { maxRetriesPerRequest: null, connectTimeout: 5000 },
  blocking: { maxRetriesPerRequest: null, connectTimeout: 5000 },
} satisfies Record<RedisUse, object>;

/**
 * Connects lazily and reconnects for ever, at most a second apart.
 * @param url in a form of {@link parseRedisUrl}. @throws {TypeError} for any other.
 */
export function connectRedis(url: string, use: RedisUse, logger: Logger): Redis {
  const redis = open(url, use, logger);
  // A cluster's connections are made and unmade by ioredis itself.
  if (use === 'worker' && !redis.isCluster) gatherWrites(redis);
  let told: string | undefined;
  redis.on('error', (error) => {
    lastErrors.set(redis, error);
    const matter = isCredentialsRefusal(error) ? 'Redis refuses our credentials' : 'Redis cannot be reached';
    if (told !== matter) logger.warn({ err: error, use }, matter);
    told = matter;
  });
  redis.on('ready', () => {
    lastErrors.delete(redis);
    if (told !== undefined) logger.info({ use }, 'Redis can be reached again');
    told = undefined;
  });
  return redis;
}

const lastErrors = new WeakMap<Redis, Error>();

/** Why a connection could not be made when it was tried last; undefined for one that stands, or that ended without a word. */
export function connectionError(redis: Redis): Error | undefined {
  return lastErrors.get(redis);
}

function open(url: string, use: RedisUse, logger: Logger): Redis {
  const target = parseRedisUrl(url);
  if (target === undefined) throw new TypeError(`The URL of Redis must be ${REDIS_URL_FORMS}.`);
  const tls = target.tls ? { tls: {} } : {};
  const options = { ...OPTIONS[use], ...target.login, ...tls };
  switch (target.kind) {
    case 'single':
      return new IoRedis({
        ...options,
        ...target.address,
        db: target.db,
        lazyConnect: true,
        retryStrategy: reconnectAfter,
      });
    case 'sentinel':
      return connectBySentinels(target, options, reconnectAfter);
    case 'cluster':
      return connectCluster(target, { options, waits: use !== 'api', reconnectAfter, logger });
  }
}

/** @returns milliseconds. */
function reconnectAfter(times: number): number {
  return Math.min(50 * times, 1000);
}
