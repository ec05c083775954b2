import { readdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createControlClient } from '@renderyard/simulator/control-client';
import { startSimulator } from '@renderyard/simulator/simulator';
import { expect, test } from 'vitest';
import { PACKAGES } from '../support/cache-folder.ts';
import { type ServiceProcess, startService } from '../support/processes.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

interface JobView {
  readonly id: string;
  readonly status: string;
  readonly attempts: number;
  readonly uncertain: number;
}

async function ask<T>(service: ServiceProcess, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(new URL(path, service.url), {
    ...(body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

const submit = async (service: ServiceProcess, prompt: string) =>
  (await ask<JobView>(service, '/v1/jobs', { input: { prompt, width: 64, height: 64 } })).id;

const jobs = (service: ServiceProcess, ids: readonly string[]) =>
  Promise.all(ids.map((id) => ask<JobView>(service, `/v1/jobs/${id}`)));

const untilSucceeded = (service: ServiceProcess, ids: readonly string[]) =>
  expect
    .poll(async () => (await jobs(service, ids)).map(({ status }) => status), { timeout: 20_000 })
    .toEqual(ids.map(() => 'succeeded'));

test('Ctrl-C leaves the worker the time to keep paid images that cannot be stored, and the next start stores them', async () => {
  const dataDir = await makeTemporaryFolder('rescue');
  const simulator = await startSimulator({ latencyMs: 50 });
  const upstream = createControlClient(simulator.url);
  try {
    // Only so that the test does not download what the run has.
    await symlink(PACKAGES, join(dataDir, 'packages'));
    const env = {
      DATA_DIR: dataDir,
      PORT: '0',
      SEGMIND_BASE_URL: simulator.url,
      SEGMIND_API_KEY: 'SG_aaaaaaaaaaaaaaaa',
      SEGMIND_CONCURRENCY: '3',
      SEGMIND_RPM: '6000',
      CREDIT_PROBE_MS: '500',
      LOCK_MS: '1000',
      // Calls in flight end within it, storing does not.
      SHUTDOWN_GRACE_MS: '1000',
    };
    const rescue = join(dataDir, 'worker/rescue');
    const store = join(dataDir, 'store');
    let ids: readonly string[] = [];
    {
      await using first = await startService({ service: 'standalone', env });
      const stored = await submit(first, 'stored');
      await untilSucceeded(first, [stored]);
      // Who opens the store for the first time makes one where there is none: by now all have opened it.
      await ask(first, '/health/ready');
      // As a disk that is unmounted.
      await rename(store, `${store}-away`);
      ids = [stored, ...(await Promise.all(['one', 'two', 'three'].map((prompt) => submit(first, prompt))))];
      await expect
        .poll(async () => (await ask<{ holds: { reason: string }[] }>(first, '/v1/credits')).holds, { timeout: 10_000 })
        .toContainEqual(expect.objectContaining({ reason: expect.stringContaining('store') }));
      first.kill('SIGINT');
      expect(await first.exited).toMatchObject({ code: 0 });
    }
    const paid = (await upstream.ledger()).billed_count - 1;
    expect(paid).toBeGreaterThan(0);
    const kept = await readdir(rescue);
    expect(kept.filter((name) => name.endsWith('.json'))).toHaveLength(paid);
    expect(kept).toHaveLength(2 * paid);

    await rename(`${store}-away`, store);
    await using second = await startService({ service: 'standalone', env });
    await untilSucceeded(second, ids);
    expect((await jobs(second, ids)).map(({ attempts, uncertain }) => ({ attempts, uncertain }))).toEqual(
      ids.map(() => ({ attempts: 1, uncertain: 0 })),
    );
    expect((await upstream.ledger()).billed_count).toBe(ids.length);
    expect(await readdir(rescue)).toEqual([]);
    expect(await second.stop()).toMatchObject({ code: 0 });
  } finally {
    await simulator.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}, 90_000);
