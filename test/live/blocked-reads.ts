import type { Redis } from '@renderyard/shared/redis/connect';
import { vi } from 'vitest';

/** The ids of the connections that wait in a blocking read of streams, once there is one. */
export async function blockedReads(redis: Redis): Promise<readonly string[]> {
  return vi.waitFor(async () => {
    const lines = String(await redis.call('CLIENT', 'LIST')).split('\n');
    const ids = lines
      .filter((line) => / cmd=xread /.test(line) && / flags=\S*b/.test(line))
      .map((line) => /^id=(\d+)/.exec(line)?.[1] ?? '');
    if (ids.length === 0) throw new Error('nobody waits');
    return ids;
  });
}
