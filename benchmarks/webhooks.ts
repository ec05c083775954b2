import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { keyPrefix } from '@renderyard/shared/redis/keys';
import { eventId } from '@renderyard/shared/webhook/event-id';
import { Redis } from 'ioredis';
import { Agent, request } from 'undici';
import { startInstallation } from '../test/support/installation.ts';
import { startProcess } from '../test/support/processes.ts';
import { startRedisInstance } from '../test/support/redis-instance.ts';
import { openBadReceivers } from '../test/webhook/bad-receivers.ts';
import { type Arrival, openListener } from '../test/webhook/listener.ts';

/**
 * What webhooks cost, with everything on one machine. Linux only: it reads /proc.
 *
 *     node benchmarks/webhooks.ts beside [jobs] [slow]   how long a healthy receiver waits, alone and beside bad ones:
 *                                                        one that is down, so many slow ones, one that redirects, one
 *                                                        that answers 100 MB and one that closes the connection
 *     node benchmarks/webhooks.ts many [events]          deliveries a second to one receiver, and what each costs in
 *                                                        CPU and Redis memory; the baseline are bare POSTs of the same
 */
const [part = 'beside', first, second] = process.argv.slice(2);

/** Jobs end at this pace, so that what is measured is no queue for the processor. */
const JOBS_A_MINUTE = 1200;
const SLOW_MS = 14_000;
const ENVIRONMENT = { WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8', SEGMIND_RPM: '100000', LOG_LEVEL: 'warn' };

const percentile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

/** @returns milliseconds from each job's end until the healthy receiver was told, in ascending order. */
async function latencies(jobs: number, urls: readonly string[]): Promise<readonly number[]> {
  await using healthy = await openListener();
  await using redis = await startRedisInstance({ persistence: 'aof' });
  await using yard = await startInstallation({
    redisUrl: redis.url,
    env: { ...ENVIRONMENT, SEGMIND_RPM: String(JOBS_A_MINUTE) },
  });
  for (const url of [...urls, healthy.url]) {
    const made = await yard.call('POST', '/v1/webhooks', { url: `${url}/hook`, events: ['job.succeeded'] });
    if (!made.ok) throw new Error(`No webhook at ${url}: ${made.status} ${await made.text()}`);
  }
  await yard.submit(Array.from({ length: jobs }, (_, i) => `picture ${i}`));
  await yard.until('the healthy receiver was told', async () => healthy.arrivals.length >= jobs, 600_000);
  return healthy.arrivals.map(latency).sort((a, b) => a - b);
}

function latency({ at, body }: Arrival): number {
  const { data } = JSON.parse(body) as { readonly data: { readonly ended_at: string } };
  return at - Date.parse(data.ended_at);
}

async function beside(jobs: number, slow: number): Promise<void> {
  const timers = new Set<NodeJS.Timeout>();
  await using bad = await openBadReceivers((response) => {
    timers.add(setTimeout(() => response.writeHead(204).end(), SLOW_MS));
  });
  const { slow: oneSlow, ...others } = bad.urls;
  // Each path is an endpoint, and a receiver, of its own.
  const urls = [...Object.values(others), ...Array.from({ length: slow }, (_, i) => `${oneSlow}/${i}`)];
  const runs = [];
  for (const [name, with_] of [
    ['alone', []],
    [`beside ${urls.length} bad ones`, urls],
    ['alone again', []],
  ] as const) {
    const found = await latencies(jobs, with_);
    const [p50, p99] = [percentile(found, 0.5), percentile(found, 0.99)];
    runs.push({ p50, p99 });
    console.log(`${name}: p50 ${p50} ms, p99 ${p99} ms, at most ${found.at(-1)} ms, of ${found.length} jobs`);
  }
  for (const timer of timers) clearTimeout(timer);
  const [alone, with_, again] = runs;
  if (!alone || !with_ || !again) return;
  const ratio = (of: 'p50' | 'p99') => (with_[of] / ((alone[of] + again[of]) / 2)).toFixed(2);
  console.log(`beside bad ones: ${ratio('p50')} × the p50 alone, ${ratio('p99')} × the p99 alone`);
  for (const [name, { arrivals }] of Object.entries(bad.listeners))
    console.log(`${name} was asked ${arrivals.length} times`);
}

/** Milliseconds of processor time that a process has taken, its own and the kernel's for it. */
function spent(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Bare POSTs of the same text, as many at once as one receiver gets; in a process of its own. */
async function post(url: string, body: string, count: number): Promise<void> {
  const dispatcher = new Agent({ connections: 4, pipelining: 1 });
  const headers = { 'content-type': 'application/json', 'webhook-id': 'none' };
  process.send?.({ ready: true });
  const began = performance.now();
  const before = process.cpuUsage();
  let left = count;
  const poster = async () => {
    while (left-- > 0) {
      const answer = await request(url, { method: 'POST', dispatcher, headers, body });
      await answer.body.dump();
    }
  };
  await Promise.all(Array.from({ length: 4 }, poster));
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000, cpu: (user + system) / 1000 }));
}

async function many(events: number): Promise<void> {
  await using healthy = await openListener();
  await using instance = await startRedisInstance({ persistence: 'aof' });
  const name = `bench-${randomBytes(4).toString('hex')}`;
  const prefix = keyPrefix(name);
  const env = { ...ENVIRONMENT, REDIS_PREFIX: name };
  await using yard = await startInstallation({ redisUrl: instance.url, env });
  const redis = new Redis(instance.url);
  await using _closed = { [Symbol.asyncDispose]: async () => redis.disconnect() };
  await yard.call('POST', '/v1/webhooks', { url: `${healthy.url}/hook` });
  const [job = ''] = await yard.submit(['a picture of a lighthouse at the edge of the sea, in the evening']);
  await yard.until('the first was told', async () => healthy.arrivals.length === 1);
  const body = healthy.arrivals[0]?.body ?? '';

  const memory = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
  const [worker] = yard.workers;
  if (worker === undefined) throw new Error('There is no worker.');
  const empty = await memory();
  // Events of one job, as tell.lua puts them out, all at once: what it tells is the same, how often is not.
  worker.kill('SIGSTOP');
  const hooks = await redis.hkeys(`${prefix}hooks:default`);
  const state = await redis.hgetall(`${prefix}job:${job}`);
  const told = { type: 'job.succeeded', account: 'default', to: hooks.map((webhook) => ({ webhook })), job_id: job };
  for (let i = 0; i < events; i += 1000) {
    const pipeline = redis.pipeline();
    for (let run = i; run < Math.min(events, i + 1000); run++) {
      const event = { ...told, id: eventId(job, 'job.succeeded', run + 2), at: Date.now(), job: state };
      pipeline.xadd(`${prefix}outbox`, '*', 'event', JSON.stringify(event));
    }
    await pipeline.exec();
  }
  const filled = await memory();
  const before = { worker: spent(worker.pid), redis: spent(instance.pid) };
  const began = performance.now();
  worker.kill('SIGCONT');
  let most = 0;
  // The log may keep fewer than there are: it has an end.
  while (healthy.arrivals.length < events + 1 || (await redis.zcard(`${prefix}dlvs:default:pending`)) > 0) {
    most = Math.max(most, await memory());
    await sleep(100);
  }
  const seconds = (performance.now() - began) / 1000;
  const each = (ms: number) => `${(ms / events).toFixed(2)} ms`;
  const cpu = { worker: spent(worker.pid) - before.worker, redis: spent(instance.pid) - before.redis };
  const after = await memory();
  console.log(`${(events / seconds).toFixed(0)} deliveries/s, bodies of ${Buffer.byteLength(body)} bytes`);
  console.log(`CPU a delivery: worker ${each(cpu.worker)}, Redis ${each(cpu.redis)}`);
  const mb = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MB`;
  console.log(`Redis: ${mb(empty)} before, ${mb(filled)} with all events, ${mb(most)} at most, ${mb(after)} after`);
  const ids = await redis.zrange(`${prefix}dlvs:default:succeeded`, '0', '9');
  const usages = await Promise.all(ids.map((id) => redis.memory('USAGE', `${prefix}dlv:${id}`, 'SAMPLES', 0)));
  const usage = usages.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0) / usages.length;
  console.log(
    `${((after - empty) / events).toFixed(0)} bytes a delivery in the log, ${usage.toFixed(0)} of them its hash`,
  );

  const bare = await startProcess({
    name: 'bare',
    file: import.meta.filename,
    args: ['post', `${healthy.url}/bare`, body, String(events)],
  });
  const line = await bare.untilLog((found) => 'seconds' in found, 300_000);
  await bare.exited;
  const bareSeconds = Number(line.seconds);
  console.log(
    `bare POSTs: ${(events / bareSeconds).toFixed(0)}/s, ${each(Number(line.cpu))} of CPU each; a delivery takes ${(seconds / bareSeconds).toFixed(1)} × the time and ${((cpu.worker + cpu.redis) / Number(line.cpu)).toFixed(1)} × the CPU`,
  );
}

if (part === 'beside') await beside(Number(first ?? 400), Number(second ?? 1));
else if (part === 'many') await many(Number(first ?? 10_000));
else if (part === 'post') await post(first ?? '', second ?? '', Number(process.argv[5]));
else throw new Error(`There is no part ${part}; there are beside and many.`);
