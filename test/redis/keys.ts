import type { Redis } from 'ioredis';

/** Every key that begins so, sorted. */
export async function allKeys(redis: Redis, beginning: string): Promise<readonly string[]> {
  const found = new Set<string>();
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${beginning}*`, 'COUNT', 5000);
    for (const key of keys) found.add(key);
    cursor = next;
  } while (cursor !== '0');
  return [...found].sort();
}

/** Every key that begins so, with what it holds: to see that nothing was changed. */
export async function contents(redis: Redis, beginning: string): Promise<Readonly<Record<string, unknown>>> {
  const keys = await allKeys(redis, beginning);
  const values = await Promise.all(keys.map((key) => contentOf(redis, key)));
  return Object.fromEntries(keys.map((key, i) => [key, values[i]]));
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'zset':
      return redis.zrange(key, '0', '-1', 'WITHSCORES');
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return (await redis.smembers(key)).sort();
    case 'stream':
      return redis.xrange(key, '-', '+');
    default:
      throw new Error(`${key} is of a type that no script writes`);
  }
}
