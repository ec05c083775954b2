import { rm } from 'node:fs/promises';
import { createLogger } from '@renderyard/shared/logger';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import { recover } from '@renderyard/worker/render/recover';
import type { RenderDependencies } from '@renderyard/worker/render/render-dependencies';
import { beginRun } from '@renderyard/worker/render/run';
import { expect, onTestFinished, test } from 'vitest';
import { COST, openBench, TRIAL_MS } from '../redis/bench.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

test('a lost call is counted as uncertain once, though it cannot be recorded at first, or two look at it', async () => {
  await using bench = await openBench();
  const directory = await makeTemporaryFolder('uncertain-once');
  const store = createDirectoryStore({ directory, publicUrl: 'http://a.test', signingKey: Buffer.alloc(32) });
  onTestFinished(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });
  await bench.balance(100 * COST);
  const lost = await bench.call();
  const job = await bench.jobs.get(lost.job);
  if (job === undefined) throw new Error('the job is gone');

  const before = new Error('READONLY You cannot write against a read only replica.');
  const faults = [() => Promise.reject(before), undefined];
  let counted = 0;
  const deps = {
    jobs: {
      ...bench.jobs,
      record: async (...args: Parameters<typeof bench.jobs.record>) =>
        (await faults.shift()?.()) ?? bench.jobs.record(...args),
    },
    metrics: { callUncertain: () => counted++, jobEnded: () => {} },
    rescue: { storeKept: async () => 0 },
    policy: { attempts: 5, backoffMs: 1, uncertainRetries: 1, trialMs: TRIAL_MS },
    logger: createLogger({ service: 'test', level: 'silent' }),
    store,
  } as unknown as RenderDependencies;
  const look = () =>
    recover({ job, row: undefined, run: beginRun(job) }, { call: lost.id, estimate: lost.grant.estimate }, deps);

  await expect(look()).rejects.toBe(before);
  expect(counted).toBe(0);
  await look();
  expect(counted).toBe(1);
  // Another process had found it lost as well.
  await look();
  expect(counted).toBe(1);
  expect((await bench.books()).uncertainCalls).toHaveLength(1);
});
