import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';
import { startRedisInstance } from '../support/redis-instance.ts';
import { type Scrape, scrape } from './exposition.ts';
import { WATCHED, watchersUrl } from './watched.ts';

/** Prometheus waits for ten seconds; a scrape takes up to two, and as much again on a machine under load. */
const IN_TIME_MS = 4000;
const KNOWN_TO_REDIS =
  /^renderyard_(tickets|queue_age|jobs_waiting|rows|batches|credits_(balance|floor|low|reserved|uncertain|spent|state)|holds|slots_used|rate_used|deliver|outbox|oldest)/;

test('a scrape is answered in time while Redis is frozen or gone, and tells so', async () => {
  await using redis = await startRedisInstance({ persistence: 'aof' });
  await using yard = await startInstallation({ redisUrl: redis.url, env: { ...WATCHED } });
  const urls = await Promise.all([yard.api, ...yard.workers].map(watchersUrl));

  async function look(expected: { readonly up: 0 | 1 }): Promise<void> {
    for (const url of [...urls, yard.api.url])
      await expect
        .poll(
          async () => {
            const begun = performance.now();
            const found = await scrape(url);
            expect(performance.now() - begun).toBeLessThan(IN_TIME_MS);
            return summary(found);
          },
          { timeout: 20_000, interval: 200 },
        )
        .toEqual({ up: expected.up, known: expected.up === 1, store: 1, limit: 6000 });
  }
  await look({ up: 1 });
  redis.kill('SIGSTOP');
  await look({ up: 0 });
  redis.kill('SIGCONT');
  await look({ up: 1 });
  redis.kill('SIGKILL');
  await look({ up: 0 });
  await redis.restart();
  await look({ up: 1 });
}, 90_000);

function summary({ series, value }: Scrape) {
  return {
    up: value('renderyard_redis_up'),
    known: [...series.keys()].some((name) => KNOWN_TO_REDIS.test(name)),
    store: value('renderyard_store_up'),
    limit: value('renderyard_rate_limit_calls'),
  };
}
