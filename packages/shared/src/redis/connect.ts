import { Redis as IoRedis } from 'ioredis';
import type { Logger } from '../logger.ts';

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
  api: { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 2000, connectTimeout: 2000 },
  worker: { maxRetriesPerRequest: null, connectTimeout: 5000 },
  blocking: { maxRetriesPerRequest: null, connectTimeout: 5000 },
} satisfies Record<RedisUse, object>;

/** Connects lazily and reconnects for ever, at most a second apart. */
export function connectRedis(url: string, use: RedisUse, logger: Logger): Redis {
  const redis: Redis = new IoRedis(url, {
    ...OPTIONS[use],
    lazyConnect: true,
    retryStrategy: (times: number) => Math.min(50 * times, 1000),
  });
  let down = false;
  redis.on('error', (error) => {
    if (!down) logger.warn({ err: error, use }, 'Redis cannot be reached');
    down = true;
  });
  redis.on('ready', () => {
    if (down) logger.info({ use }, 'Redis can be reached again');
    down = false;
  });
  return redis;
}
