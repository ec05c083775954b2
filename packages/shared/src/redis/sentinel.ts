import { Redis, type RedisOptions } from 'ioredis';
import type { RedisTarget } from './redis-url.ts';

type SentinelTarget = Extract<RedisTarget, { kind: 'sentinel' }>;
type ServerOptions = Omit<RedisOptions, 'replyMapping'>;

/** A sentinel that is silent for this long is passed over for the next. */
const SENTINEL_ANSWER_MS = 1000;
/**
 * A master that owes an answer for this long is left, and the sentinels are asked anew: one that vanished without
 * closing its connections would be waited for until TCP gives up, a quarter of an hour. Longer than the API waits.
 */
const SILENCE_MS = 3000;

/** Connects lazily to the master that the sentinels name, and to the next one when they name another. */
export function connectBySentinels(
  target: SentinelTarget,
  options: ServerOptions,
  /** Milliseconds until the given attempt. */
  reconnectAfter: (times: number) => number,
): Redis {
  const { username, password } = target.sentinelLogin;
  return staysWithSentinels(
    new Redis({
      ...options,
      // Read in messages about the connection; the sentinels tell where the master is.
      ...target.sentinels[0],
      sentinels: [...target.sentinels],
      name: target.master,
      db: target.db,
      ...(username === undefined ? {} : { sentinelUsername: username }),
      ...(password === undefined ? {} : { sentinelPassword: password }),
      ...(target.tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
      sentinelCommandTimeout: SENTINEL_ANSWER_MS,
      sentinelRetryStrategy: reconnectAfter,
      // A master that was deposed, and did not write: 2 asks the sentinels anew and sends the command again.
      reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
      // Not `failoverDetector`: a failover that is told while it looks for the master ends ioredis 6.0.0 for good.
      socketTimeout: SILENCE_MS,
      lazyConnect: true,
      retryStrategy: reconnectAfter,
    }),
  );
}

function staysWithSentinels(redis: Redis): Redis {
  const duplicate = redis.duplicate.bind(redis);
  const disconnect = redis.disconnect.bind(redis);
  return Object.assign(redis, {
    // Blocking reads owe their answer for longer, and BullMQ watches over them itself.
    duplicate: (override?: ServerOptions) =>
      staysWithSentinels(duplicate({ ...override, socketTimeout: undefined } as RedisOptions)),
    disconnect: (reconnect = false) => {
      // For the same reason: it is on its way to connect anew.
      if (!(reconnect && redis.status === 'connecting')) disconnect(reconnect);
    },
  });
}
