import { readFile } from 'node:fs/promises';
import { startInstallation } from '../test/support/installation.ts';
import { startRedisInstance } from '../test/support/redis-instance.ts';

/**
 * A worker's peak memory while twenty images of a size arrive at once, against the same worker with small images.
 * Linux only: it reads VmHWM.
 *
 *     node benchmarks/memory.ts [images]
 */
const images = Number(process.argv[2] ?? 60);

async function peak(megabytes: number | undefined): Promise<number> {
  await using redis = await startRedisInstance();
  await using yard = await startInstallation({
    workers: 1,
    redisUrl: redis.url,
    simulator: { latencyMs: 300, balance: 1000 },
    env: { SEGMIND_CONCURRENCY: '20', SEGMIND_RPM: '60000' },
  });
  if (megabytes !== undefined)
    await yard.upstream.fault({ effect: { kind: 'oversize', bytes: megabytes * 1024 * 1024 } });
  const jobs = await yard.ended(await yard.submit(Array.from({ length: images }, (_, i) => `picture ${i}`)), 300_000);
  const failed = jobs.filter((job) => job.status !== 'succeeded');
  if (failed.length > 0) throw new Error(`${failed.length} jobs did not succeed: ${JSON.stringify(failed[0])}`);
  const status = await readFile(`/proc/${yard.workers[0]?.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

const small = await peak(undefined);
console.log(`small images: ${small.toFixed(0)} MB peak RSS, the baseline`);
for (const megabytes of [8, 16, 32]) {
  const large = await peak(megabytes);
  console.log(
    `${images} images of ${megabytes} MiB, 20 at once: ${large.toFixed(0)} MB peak RSS, ${(large / small).toFixed(2)} × the baseline`,
  );
}
