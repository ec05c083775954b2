import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';
import { mostInWindow } from '../support/windows.ts';

test('two worker processes together never exceed a tenth of the rate in a tenth of a minute', async () => {
  const perMinute = 900;
  await using yard = await startInstallation({
    workers: 2,
    simulator: { latencyMs: 100 },
    env: { SEGMIND_RPM: String(perMinute), LOG_LEVEL: 'debug' },
  });
  await yard.ended(await yard.submit(Array.from({ length: 150 }, (_, i) => `picture ${i}`)));
  // When calls were granted, by Redis's clock: a busy machine may delay what happens between that and their arrival.
  const granted = yard.workers.flatMap(({ logs }) =>
    logs.flatMap((line) => (line.granted_at === undefined ? [] : [Date.parse(String(line.granted_at))])),
  );
  expect(granted.length).toBe(150);
  expect(mostInWindow(granted, 6000)).toBeLessThanOrEqual(perMinute / 10);
}, 60_000);
