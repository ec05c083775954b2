import { expect, test } from 'vitest';
import { createRig } from '../support/rig.ts';

test('errors made between calls, and after them, have their stack traces', async () => {
  await using rig = await createRig();
  const limit = Error.stackTraceLimit;
  const seen = new Set<number>();
  const ids = await rig.submit(Array.from({ length: 20 }, (_, i) => `picture ${i}`));
  let running = true;
  const watcher = (async () => {
    while (running) {
      seen.add(Error.stackTraceLimit);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  const jobs = await rig.ended(ids);
  running = false;
  await watcher;
  expect(jobs.map((job) => job.status)).toEqual(ids.map(() => 'succeeded'));
  expect([...seen]).toEqual([limit]);
  expect(limit).toBeGreaterThan(0);
});
