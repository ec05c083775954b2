/**
 * How many images a second the simulator gives to a client on the same machine, and what memory it takes.
 *
 *     node benchmarks/simulator.ts [--seconds 10] [--size 256] [--concurrency 64] [--format jpeg]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    size: { type: 'string', default: '256' },
    concurrency: { type: 'string', default: '64' },
    format: { type: 'string', default: 'jpeg' },
  },
});
const size = Number(values.size);

const simulator = fork(join(import.meta.dirname, '../services/simulator/src/main.ts'), {
  env: {
    ...process.env,
    SIMULATOR_PORT: '0',
    SIMULATOR_LATENCY_MS: '0',
    SIMULATOR_BALANCE: '1000000',
    LOG_LEVEL: 'silent',
  },
});
const [{ url }] = (await once(simulator, 'message')) as [{ url: string }];
const agent = new Agent({ keepAlive: true, maxSockets: Number(values.concurrency) });
const took: number[] = [];
let bytes = 0;

/** One render; resolves when its last byte is here. */
function render(n: number): Promise<void> {
  const startedAt = performance.now();
  const body = JSON.stringify({
    prompt: `A lighthouse at dusk, number ${n}, oil on canvas, soft light, detailed`,
    seed: n,
    width: size,
    height: size,
    image_format: values.format,
    base64: false,
    sampler: 'euler',
    scheduler: 'sgm_uniform',
  });
  return new Promise((resolve, reject) => {
    const call = request(`${url}/v1/stable-diffusion-3.5-large-txt2img`, {
      agent,
      method: 'POST',
      headers: { 'x-api-key': 'SG_0123456789abcdef', 'content-type': 'application/json' },
    });
    call.on('error', reject).on('response', (response) => {
      if (response.statusCode !== 200) reject(new Error(`The simulator answered ${response.statusCode}.`));
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('end', () => {
        took.push(performance.now() - startedAt);
        resolve();
      });
    });
    call.end(body);
  });
}

/** What a process has used so far, as Linux counts it; NaN on other systems. */
async function usageOf(pid: number | undefined): Promise<{ readonly mib: number; readonly cpuMs: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // Fields 14 and 15 are ticks of 10 ms in user and in system mode; field 2, the name, may have spaces, and ends in `)`.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    mib: Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024),
    cpuMs: (Number(fields[11]) + Number(fields[12])) * 10,
  };
}

const before = await usageOf(simulator.pid);
const ownBefore = process.cpuUsage();
let n = 0;
const startedAt = performance.now();
const until = startedAt + Number(values.seconds) * 1000;
await Promise.all(
  Array.from({ length: Number(values.concurrency) }, async () => {
    while (performance.now() < until) await render(n++);
  }),
);
const seconds = (performance.now() - startedAt) / 1000;
took.sort((a, b) => a - b);
const at = (share: number) => `${(took[Math.floor(took.length * share)] ?? 0).toFixed(1)} ms`;
console.log(`${size} x ${size} ${values.format}, ${values.concurrency} calls at a time, ${seconds.toFixed(1)} s`);
console.log(`${(took.length / seconds).toFixed(0)} images/s, ${Math.round(bytes / took.length)} bytes each`);
const after = await usageOf(simulator.pid);
const own = process.cpuUsage(ownBefore);
const each = (ms: number) => `${(ms / took.length).toFixed(2)} ms`;
console.log(
  `CPU an image: simulator ${each(after.cpuMs - before.cpuMs)}, client ${each((own.user + own.system) / 1000)}`,
);
console.log(`half within ${at(0.5)}, 99 of 100 within ${at(0.99)}; the simulator's memory: ${after.mib} MiB at most`);
agent.destroy();
simulator.kill('SIGTERM');
await once(simulator, 'exit');
