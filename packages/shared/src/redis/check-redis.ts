import type { Logger } from '../logger.ts';
import { orAborted } from '../or-aborted.ts';
import type { Redis } from './connect.ts';

/** Thrown when Redis cannot be worked with: it is away, too old, or set up so that it would lose what it is told. */
export class RedisUnfitError extends Error {
  override readonly name = 'RedisUnfitError';
}

/** The oldest Redis with all that is used: `ZRANGE … BYLEX REV LIMIT` came with 6.2. Every Valkey has it. */
const OLDEST: readonly [number, number] = [6, 2];

/**
 * Connects, and waits for a Redis that is still starting; then checks that it can be worked with, and warns of what cannot
 * be found out about that.
 * @throws {RedisUnfitError} when it cannot be reached within `patienceMs`, or cannot be worked with; the signal's reason
 * when that aborts before.
 */
export async function awaitFitRedis(
  redis: Redis,
  {
    patienceMs,
    logger,
    signal,
  }: { readonly patienceMs: number; readonly logger: Logger; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  await awaitRedis(redis, patienceMs, signal);
  const checked = checkRedis(redis);
  for (const warning of await (signal === undefined ? checked : orAborted(checked, signal))) logger.warn(warning);
}

/**
 * Connects, and waits for a Redis that is still starting.
 * @throws {RedisUnfitError} when it cannot be reached within `patienceMs`, with the last reason; the signal's reason
 * when that aborts before.
 */
export async function awaitRedis(redis: Redis, patienceMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  if (redis.status === 'ready') return;
  let reason = 'it did not answer';
  const onError = (error: Error) => {
    reason = error.message || String((error as NodeJS.ErrnoException).code);
  };
  let timer: NodeJS.Timeout | undefined;
  let onReady = () => {};
  let onAbort = () => {};
  redis.on('error', onError);
  try {
    await new Promise<void>((resolve, reject) => {
      onReady = resolve;
      redis.once('ready', onReady);
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort);
      timer = setTimeout(
        () =>
          reject(
            new RedisUnfitError(
              `Redis at ${redis.options.host}:${redis.options.port} cannot be reached within ${patienceMs / 1000} s (${reason}). Start it, or correct REDIS_URL.`,
            ),
          ),
        patienceMs,
      );
      // Its failure is not the end: the connection is tried again until the time is over.
      if (redis.status === 'wait') redis.connect().catch(onError);
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    redis.off('ready', onReady);
    redis.off('error', onError);
  }
}

/**
 * Checks that this Redis can be worked with.
 * @returns what could not be found out, as sentences for the log.
 * @throws {RedisUnfitError} for a version before 6.2, or a policy under which Redis forgets keys when memory is short.
 */
async function checkRedis(redis: Redis): Promise<readonly string[]> {
  const warnings: string[] = [];
  const version = /^redis_version:(\d+)\.(\d+)(\S*)/m.exec(await redis.info('server'));
  if (version === null) warnings.push('Redis does not tell its version; 6.2 or newer is needed.');
  else {
    const [major, minor] = [Number(version[1]), Number(version[2])];
    if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
      throw new RedisUnfitError(
        `Redis is of version ${major}.${minor}${version[3]}; ${OLDEST.join('.')} or newer is needed.`,
      );
  }
  const policy = await readPolicy(redis);
  if (policy === undefined)
    warnings.push(
      'Redis does not let its maxmemory-policy be read; it must be noeviction, or jobs are lost when memory is short.',
    );
  else if (policy !== 'noeviction')
    throw new RedisUnfitError(
      `Redis has the maxmemory-policy ${policy}: it would forget jobs and what was spent when memory is short. Set it to noeviction.`,
    );
  return warnings;
}

/** @returns undefined where it may not be read, as on many hosted Redis. */
async function readPolicy(redis: Redis): Promise<string | undefined> {
  try {
    const answer = (await redis.config('GET', 'maxmemory-policy')) as readonly unknown[] | Record<string, unknown>;
    const policy = Array.isArray(answer) ? answer[1] : (answer as Record<string, unknown>)['maxmemory-policy'];
    return typeof policy === 'string' ? policy : undefined;
  } catch (error) {
    // Refused by Redis itself (unknown command, no permission). A connection that failed is another matter.
    if (error instanceof Error && error.name === 'ReplyError') return undefined;
    throw error;
  }
}
