import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { Redis } from 'ioredis';
import { startInstallation } from '../test/support/installation.ts';
import { startService } from '../test/support/processes.ts';
import { startRedisInstance } from '../test/support/redis-instance.ts';

/**
 * What a row of a large batch costs beside its render: an upstream without latency, Redis that keeps its data as
 * Renderyard runs it, and everything on one machine. The baseline is the bare simulator, called as fast as it goes with
 * as many connections, each for one call. Linux only: it reads /proc.
 *
 *     node benchmarks/rows.ts [rows] [workers] [concurrency]
 */
const rows = Number(process.argv[2] ?? 4000);
const workers = Number(process.argv[3] ?? 1);
const concurrency = Number(process.argv[4] ?? 32);

/** The upstream takes as many calls as come; the pace is kept all the same. */
const PER_MINUTE = 100_000;
const MOST_BASELINE_CALLS = 4000;
const INPUT = { width: 64, height: 64, sampler: 'euler', scheduler: 'sgm_uniform', base64: false };

/** Milliseconds of processor time that a process has taken, its own and the kernel's for it. */
function spent(pid: number): { readonly user: number; readonly system: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { user: Number(fields[11]) * 10, system: Number(fields[12]) * 10 };
}

/** One render on a connection of its own; resolves when its last byte is here. */
function callSimulator(url: string, prompt: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(`${url}/v1/stable-diffusion-3.5-large-txt2img`, {
      agent: false,
      method: 'POST',
      headers: { 'x-api-key': 'SG_0123456789abcdef', 'content-type': 'application/json' },
    });
    call.on('error', reject).on('response', (response) => {
      if (response.statusCode !== 200) reject(new Error(`The simulator answered ${response.statusCode}.`));
      response.on('end', resolve).resume();
    });
    call.end(JSON.stringify({ ...INPUT, prompt }));
  });
}

/** @returns calls a second. */
async function callBare(): Promise<number> {
  await using simulator = await startService({
    service: 'simulator',
    env: { SIMULATOR_PORT: '0', SIMULATOR_BALANCE: '1000000', SIMULATOR_LATENCY_MS: '0' },
  });
  const calls = Math.min(rows, MOST_BASELINE_CALLS);
  const before = spent(simulator.pid);
  const began = performance.now();
  let left = calls;
  const caller = async () => {
    while (left > 0) await callSimulator(simulator.url, `picture ${left--}`);
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  const perSecond = calls / ((performance.now() - began) / 1000);
  console.log(`bare simulator: ${perSecond.toFixed(0)} calls/s, ${share(before, spent(simulator.pid), calls)}`);
  return perSecond;
}

function share(before: ReturnType<typeof spent>, after: ReturnType<typeof spent>, count: number): string {
  const user = (after.user - before.user) / count;
  const system = (after.system - before.system) / count;
  return `${(user + system).toFixed(2)} ms of CPU each (${user.toFixed(2)} user, ${system.toFixed(2)} system)`;
}

const bare = await callBare();

await using redis = await startRedisInstance({ persistence: 'aof' });
await using yard = await startInstallation({
  workers,
  redisUrl: redis.url,
  simulator: { balance: 1_000_000 },
  env: { SEGMIND_CONCURRENCY: String(concurrency), SEGMIND_RPM: String(PER_MINUTE), LOG_LEVEL: 'warn' },
});
const client = new Redis(redis.url);
const memory = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]) / 1024 ** 2;

const processes: readonly (readonly [name: string, pid: number])[] = [
  ...yard.workers.map((worker, i) => [`worker ${i + 1}`, worker.pid] as const),
  ['simulator and this program', process.pid],
  ['Redis', redis.pid],
  ['API', yard.api.pid],
];
const before = processes.map(([, pid]) => spent(pid));
const memoryBefore = await memory();
const uploading = performance.now();
const lines = Array.from({ length: rows }, (_, i) => `picture ${i + 1}\n`);
const { id } = await yard.upload(`prompt\n${lines.join('')}`);
const began = performance.now();
console.log(`${rows} rows taken in ${((began - uploading) / 1000).toFixed(1)} s`);

const samples: number[] = [];
let ended = 0;
while (ended < rows) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const [{ counts, status, hold }, used] = await Promise.all([yard.batch(id), memory()]);
  samples.push(used);
  ended = counts.succeeded + counts.failed;
  if (process.stdout.isTTY) process.stdout.write(`\r${ended} of ${rows} rows, Redis ${used.toFixed(1)} MB `);
  if (status === 'canceled' || status === 'paused') throw new Error(`The batch is ${status}: ${hold?.detail}`);
}
const seconds = (performance.now() - began) / 1000;
const after = processes.map(([, pid]) => spent(pid));
const { counts, cost } = await yard.batchEnded(id, 300_000);
if (process.stdout.isTTY) process.stdout.write('\r');

console.log(
  `${(rows / seconds).toFixed(0)} rows/s with ${workers} worker(s), ${concurrency} calls at once: ${(rows / seconds / bare).toFixed(2)} × the bare simulator`,
);
for (const [i, [name]] of processes.entries()) {
  const [from, to] = [before[i], after[i]];
  if (from && to) console.log(`${name}: ${share(from, to, rows)}`);
}
const all = (times: typeof before) => times.reduce((sum, { user, system }) => sum + user + system, 0);
console.log(`all together: ${((all(after) - all(before)) / rows).toFixed(2)} ms of CPU a row`);
const at = (part: number) => (samples[Math.floor((samples.length - 1) * part)] ?? 0).toFixed(1);
console.log(
  `Redis: ${memoryBefore.toFixed(1)} MB before, ${at(0.25)}, ${at(0.5)}, ${at(0.75)} and ${at(1)} on the way, ${Math.max(...samples).toFixed(1)} at most, ${(await memory()).toFixed(1)} after the end`,
);
console.log(`${counts.succeeded} succeeded, ${counts.failed} failed, ${cost} credits`);
client.disconnect();
