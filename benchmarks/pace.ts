import { startInstallation } from '../test/support/installation.ts';
import { startRedisInstance } from '../test/support/redis-instance.ts';
import { mostInWindow } from '../test/support/windows.ts';

/**
 * How much of the rate is used, and how strictly it is kept, by two worker processes.
 *
 *     node benchmarks/pace.ts [calls a minute] [calls]
 */
const perMinute = Number(process.argv[2] ?? 600);
const calls = Number(process.argv[3] ?? Math.max(40, perMinute));

await using redis = await startRedisInstance();
await using yard = await startInstallation({
  workers: 2,
  redisUrl: redis.url,
  simulator: { latencyMs: 200, balance: 1000 },
  env: { SEGMIND_RPM: String(perMinute) },
});
const ids = await yard.submit(Array.from({ length: calls }, (_, i) => `picture ${i}`));
await yard.ended(ids, (calls / perMinute) * 60_000 * 1.5 + 30_000);
const times = (await yard.upstream.allCalls())
  .filter((call) => call.endpoint === 'render')
  .map((call) => Date.parse(call.at))
  .sort((a, b) => a - b);
const minutes = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 60_000;
console.log(`${perMinute} calls a minute, ${times.length} calls in ${(minutes * 60).toFixed(1)} s by two workers`);
console.log(`most calls in any window of a minute: ${mostInWindow(times, 60_000)} of ${perMinute}`);
console.log(`most calls in any window of 6 s: ${mostInWindow(times, 6000)} of ${perMinute / 10}`);
console.log(`share of the rate used: ${((100 * (times.length - 1)) / (minutes * perMinute)).toFixed(1)} %`);
