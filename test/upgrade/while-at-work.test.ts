import { keyPrefix } from '@renderyard/shared/redis/keys';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { freshBucket } from '../support/bucket.ts';
import { type Installation, type InstallationOptions, startInstallation } from '../support/installation.ts';
import { startService } from '../support/processes.ts';
import { makeNextVersion, STEPS } from './next-version.ts';

const csvOf = (rows: number, what: string) =>
  `prompt\n${Array.from({ length: rows }, (_, i) => `${what} ${i}`).join('\n')}\n`;

interface Work {
  readonly jobs: string[];
  readonly batches: readonly string[];
}

/** Single jobs and two batches, one of them paused, of so many images in all. */
async function submitWork(yard: Installation, jobs: number, rows: number): Promise<Work> {
  const ids = await yard.submit(Array.from({ length: jobs }, (_, i) => `single ${i}`));
  const running = await yard.upload(csvOf(rows, 'row'));
  const paused = await yard.upload(csvOf(5, 'paused row'));
  await yard.call('POST', `/v1/batches/${paused.id}/pause`);
  return { jobs: ids, batches: [running.id, paused.id] };
}

/** Lets all of it end, and looks that every image was paid for once. */
async function expectAllOnce(yard: Installation, { jobs, batches }: Work): Promise<void> {
  const [running = '', paused = ''] = batches;
  expect((await yard.batch(paused)).status).toBe('paused');
  await yard.call('POST', `/v1/batches/${paused}/resume`);
  const ended = await yard.ended(jobs, 120_000);
  expect(ended.map(({ status }) => status)).toEqual(jobs.map(() => 'succeeded'));
  const rows = [];
  for (const id of [running, paused]) {
    const batch = await yard.batchEnded(id, 120_000);
    expect(batch.counts).toMatchObject({ succeeded: batch.counts.total, failed: 0 });
    rows.push(...(await yard.results(id)));
  }
  const billed = await yard.upstream.wholeLedger();
  const { uncertain, reserved } = await yard.credits();
  expect(reserved).toBe(0);
  // A call whose worker was killed is listed, and was billed at most.
  expect(billed.length).toBeGreaterThanOrEqual(jobs.length + rows.length);
  expect(billed.length).toBeLessThanOrEqual(jobs.length + rows.length + uncertain.count);
  expect(ended.reduce((sum, job) => sum + job.attempts, 0) + rows.reduce((sum, row) => sum + row.attempts, 0)).toBe(
    jobs.length + rows.length + uncertain.count,
  );
  const images = [...ended, ...rows].map(({ output }) => output[0]?.sha256);
  expect(new Set(images).size).toBe(jobs.length + rows.length);
}

function openRedis(yard: Installation) {
  const redis = new Redis(inject('redisUrl'));
  const prefix = keyPrefix(yard.settings.REDIS_PREFIX ?? '');
  return { redis, prefix, mark: () => redis.get(`${prefix}generation`), [Symbol.dispose]: () => redis.disconnect() };
}

const SLOW: InstallationOptions = {
  simulator: { latencyMs: 400, latencyP95Ms: 800 },
  env: { SEGMIND_CONCURRENCY: '4', UNCERTAIN_RETRIES: '20', RENDER_ATTEMPTS: '30' },
};

/** Each step is died at with less around it in upgrade.test.ts; here at all of them, and on both stores, with UPGRADE_KILLS=all. */
const ALL = process.env.UPGRADE_KILLS === 'all';
const SOME = { folder: ['calls end', 'half of the store'], bucket: ['half of the store'] } as const;

async function stores(kind: 'folder' | 'bucket'): Promise<Readonly<Record<string, string>>> {
  return kind === 'folder' ? {} : (await freshBucket()).env;
}

test.for(ALL ? (['folder', 'bucket'] as const) : (['bucket'] as const))(
  'data from before there were versions goes on, with single jobs, batches and held work in the queue: %s',
  { timeout: 240_000 },
  async (kind) => {
    await using yard = await startInstallation({ ...SLOW, env: { ...SLOW.env, ...(await stores(kind)) } });
    using state = openRedis(yard);
    const work = await submitWork(yard, 12, 20);
    await yard.until('some are rendered', async () => (await yard.credits()).spent > 0);
    await yard.call('POST', '/v1/credits/hold', { detail: 'The machine is replaced.' });
    // Neither told to stop nor let end: what was in flight is lost with the worker.
    const processes = [...yard.workers.splice(0), yard.api];
    for (const each of processes) each.kill('SIGKILL');
    await Promise.all(processes.map(({ exited }) => exited));
    await state.redis.set(`${state.prefix}generation`, 'dW52ZXJzaW9uZWQ');
    await state.redis.del(`${state.prefix}written_by`, `${state.prefix}roster`);

    await Promise.all([yard.startWorker(), yard.startWorker(), yard.restartApi()]);
    // An API that has waited for a second says meanwhile that it waits.
    await yard.until('the API serves', async () => (await yard.call('GET', '/v1/credits')).ok);
    const { holds, spent } = await yard.credits();
    expect(await state.mark()).toMatch(/^v1\./);
    expect(holds.map(({ reason }) => reason)).toEqual(['operator']);
    expect(spent).toBeGreaterThan(0);
    await yard.call('POST', '/v1/credits/resume');
    await expectAllOnce(yard, work);
  },
);

test.for(ALL ? (['folder', 'bucket'] as const) : (['folder'] as const))(
  'the next version, started while this one works and killed on its way, takes over: %s',
  { timeout: 400_000 },
  async (kind) => {
    await using next = await makeNextVersion();
    await using yard = await startInstallation({ ...SLOW, workers: 2, env: { ...SLOW.env, ...(await stores(kind)) } });
    using state = openRedis(yard);
    const work = await submitWork(yard, 20, 30);
    await yard.until('calls are in flight', async () => (await yard.credits()).reserved > 0);
    const old = [...yard.workers.splice(0), yard.api];

    const steps = ALL ? STEPS : SOME[kind];
    for (const step of steps) {
      await next.waitAt(step);
      const upgrading = await yard.startWorker(next.root);
      await upgrading.untilLog((line) => line.step === step, 90_000);
      if (step === 'calls end') {
        // This version goes on as soon as the hold of the dead one has run out.
        const { holds } = await yard.credits();
        expect(holds.map(({ reason }) => reason)).toContain('upgrade');
        upgrading.kill('SIGKILL');
        await yard.until('no call is in flight', async () => (await yard.credits()).reserved === 0);
        const later = await yard.submit(Array.from({ length: 12 }, (_, i) => `later ${i}`));
        work.jobs.push(...later);
        const begun = async () => (await yard.jobs(later)).some(({ status }) => status !== 'queued');
        expect(await begun()).toBe(false);
        await yard.until('work goes on', begun, 60_000);
        expect(await state.mark()).toMatch(/^v1\./);
        // And one of its workers dies with its calls.
        old.shift()?.kill('SIGKILL');
      } else {
        expect(await state.mark()).toMatch(/^v2\.from1\./);
        upgrading.kill('SIGKILL');
        // As if twelve seconds had passed.
        await state.redis.del(`${state.prefix}rebuild:lock`);
      }
      yard.workers.splice(0);
      await upgrading.exited;
    }
    for (const each of old) {
      expect(await each.exited).toMatchObject({ code: 1 });
      expect(each.logs).toContainEqual(
        expect.objectContaining({
          level: 60,
          msg: expect.stringMatching(
            /^Redis holds data of version 2, written by Renderyard 99\.0\.0; this is Renderyard .*Start Renderyard 99\.0\.0 or a newer one here\.$/,
          ),
        }),
      );
    }

    await next.waitAt(undefined);
    await Promise.all([yard.startWorker(next.root), yard.startWorker(next.root), yard.restartApi(next.root)]);
    await yard.until('the API serves', async () => (await yard.call('GET', '/v1/credits')).ok);
    expect(await state.mark()).toMatch(/^v2\.[\w-]{16}$/);
    expect(await state.redis.exists(`${state.prefix}pace`)).toBe(0);
    const { holds } = await yard.credits();
    expect(holds).toEqual([]);
    await expectAllOnce(yard, work);

    const refused = (service: 'api' | 'worker') => startService({ service, env: yard.settings });
    for (const service of ['api', 'worker'] as const)
      await expect(refused(service)).rejects.toThrow(
        /cannot start: Redis holds data of version 2, written by Renderyard 99\.0\.0/,
      );
    // Nor does it take the store alone, with a Redis of its own.
    const env = { ...yard.settings, REDIS_PREFIX: `${yard.settings.REDIS_PREFIX}-other` };
    for (const service of ['api', 'worker'] as const)
      await expect(startService({ service, env })).rejects.toThrow(
        /cannot start: The store holds data of version 2, written by Renderyard 99\.0\.0/,
      );
    expect(await state.redis.exists(`${keyPrefix(env.REDIS_PREFIX)}generation`)).toBe(0);
  },
);
