import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startInstallation } from '../test/support/installation.ts';
import { startRedisInstance } from '../test/support/redis-instance.ts';

/**
 * A million rows over HTTP: how long it takes, what the API and Redis need for it, and how soon the API answers others
 * meanwhile, against the same question put to an API at rest. Then the batch is canceled. Linux only: it reads VmHWM.
 *
 *     node benchmarks/upload.ts [rows]
 */
const rows = Number(process.argv[2] ?? 1_000_000);

const STYLES = [
  'oil on canvas',
  'watercolour',
  'a ""quick"" pencil sketch',
  'photograph, 35 mm',
  'linocut; two colours',
];
const THINGS = ['lighthouse', 'old harbour', 'Fjällräven fox', 'street in 東京', 'robot', 'field of tulips', 'cat 🐈'];

/** The same rows every time, of about 170 bytes. */
function line(i: number): string {
  const [style, thing] = [STYLES[i % STYLES.length], THINGS[i % THINGS.length]];
  const prompt = `A ${thing} number ${i}, ${style}, in the soft light of a day that nobody will remember but the painter`;
  return `sku-${i},"${prompt}","${style}",${20 + (i % 30)},${i * 7},64,64,note ${i}\n`;
}

const folder = await mkdtemp(join(tmpdir(), 'renderyard-upload-'));
const file = join(folder, 'rows.csv');
const out = createWriteStream(file);
out.write('id,prompt,style,steps,seed,width,height,note\n');
for (let i = 1; i <= rows; ) {
  let chunk = '';
  for (const end = Math.min(i + 9_999, rows); i <= end; i++) chunk += line(i);
  if (!out.write(chunk)) await once(out, 'drain');
}
out.end();
await once(out, 'finish');
const { size } = await stat(file);

await using redis = await startRedisInstance({ persistence: 'aof' });
await using yard = await startInstallation({ workers: 0, redisUrl: redis.url, env: { LOG_LEVEL: 'warn' } });
const client = new Redis(redis.url);
const used = async () => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]) / 1e6;
const peak = async () =>
  Number(/VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${yard.api.pid}/status`, 'utf8'))?.[1]) / 1024;

/** Milliseconds until the API says that it lives, again and again until told to end. */
async function ask(times: number[], over: () => boolean): Promise<void> {
  while (!over()) {
    const began = performance.now();
    await (await fetch(new URL('/health/live', yard.api.url))).arrayBuffer();
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const quantile = (times: readonly number[], share: number) =>
  [...times].sort((a, b) => a - b)[Math.min(Math.floor(times.length * share), times.length - 1)]?.toFixed(1);

function upload(): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      new URL('/v1/batches?name=million', yard.api.url),
      { method: 'POST', headers: { 'content-type': 'text/csv', 'content-length': size } },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body }));
      },
    );
    call.once('error', reject);
    createReadStream(file, { highWaterMark: 256 * 1024 }).pipe(call);
  });
}

const atRest: number[] = [];
const until = performance.now() + 3000;
await ask(atRest, () => performance.now() > until);
const [before, rss] = [await used(), await peak()];
let over = false;
const times: number[] = [];
const asking = ask(times, () => over);
const began = performance.now();
const { status, body } = await upload();
const seconds = (performance.now() - began) / 1000;
over = true;
await asking;
if (status !== 202) throw new Error(`${status}: ${body.slice(0, 500)}`);
const { id, counts } = JSON.parse(body) as { id: string; counts: unknown };

console.log(
  `${rows} rows, ${(size / 1e6).toFixed(0)} MB, in ${seconds.toFixed(1)} s: ${Math.round(rows / seconds)} rows/s`,
);
console.log(JSON.stringify(counts));
console.log(`peak RSS of the API: ${(await peak()).toFixed(0)} MB, ${rss.toFixed(0)} MB before`);
console.log(`Redis: ${before.toFixed(2)} MB before, ${(await used()).toFixed(2)} MB with the batch`);
console.log(
  `GET /health/live meanwhile: p50 ${quantile(times, 0.5)} ms, p99 ${quantile(times, 0.99)} ms, most ${quantile(times, 1)} ms (at rest p50 ${quantile(atRest, 0.5)} ms, p99 ${quantile(atRest, 0.99)} ms)`,
);

const cancelBegan = performance.now();
await yard.call('POST', `/v1/batches/${id}/cancel`, {});
console.log(`canceled: answered after ${(performance.now() - cancelBegan).toFixed(0)} ms`);
await yard.startWorker();
const ended = await yard.batchEnded(id, 300_000);
console.log(
  `${ended.status} with ${JSON.stringify(ended.counts)} after ${((performance.now() - cancelBegan) / 1000).toFixed(1)} s, a worker's start included`,
);
console.log(`Redis: ${(await used()).toFixed(2)} MB after`);
client.disconnect();
await rm(folder, { recursive: true });
