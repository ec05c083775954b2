import type { Redis } from 'ioredis';

/** Every key that begins so, sorted. */
export async function allKeys(redis: Redis, beginning: string): Promise<readonly string[]> {
  const found: string[] = [];
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${beginning}*`, 'COUNT', 1000);
    found.push(...keys);
    cursor = next;
  } while (cursor !== '0');
  return [...new Set(found)].sort();
}

/** Every key that begins so, with what it holds: to see that nothing was changed. */
export async function contents(redis: Redis, beginning: string): Promise<Readonly<Record<string, unknown>>> {
  const all: Record<string, unknown> = {};
  for (const key of await allKeys(redis, beginning)) all[key] = await contentOf(redis, key);
  return all;
}

async function contentOf(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'zset':
      return redis.zrange(key, '0', '-1', 'WITHSCORES');
    case 'set':
      return (await redis.smembers(key)).sort();
    default:
      return redis.dump(key);
  }
}
