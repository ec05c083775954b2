import type { Clock } from '@renderyard/shared/clock';
import { createLatency, type LatencyOptions } from '@renderyard/simulator/latency';
import { startSimulator } from '@renderyard/simulator/simulator';
import { expect, test } from 'vitest';
import { simulate } from './simulate.ts';

const options: LatencyOptions = { medianMs: 1000, coldStartMs: 0, coldAfterMs: 300_000 };

/** A latency under a clock that stands still until it is moved. */
function latencyAt(more: Partial<LatencyOptions>, seed = 1) {
  const time = { now: 0 };
  const clock: Clock = { now: () => time.now, sleep: () => Promise.resolve() };
  return { time, latency: createLatency({ ...options, ...more, seed, clock }) };
}

test('every render takes the median when no 95th percentile is set', () => {
  const { latency } = latencyAt({});
  expect(['a', 'b', 'c'].map((prompt) => latency.of('m', prompt, 1))).toEqual([1000, 1000, 1000]);
});

test('renders spread around the median and up to the 95th percentile, the same in each run of a seed', () => {
  const all = (seed: number) => {
    const { latency } = latencyAt({ p95Ms: 3000 }, seed);
    return Array.from({ length: 2000 }, (_, i) => latency.of('m', `prompt ${i}`, 1));
  };
  const drawn = all(1);
  const sorted = drawn.toSorted((a, b) => a - b);
  expect(sorted[1000]).toBeGreaterThan(900);
  expect(sorted[1000]).toBeLessThan(1100);
  expect(sorted[1900]).toBeGreaterThan(2600);
  expect(sorted[1900]).toBeLessThan(3400);
  expect(all(1)).toEqual(drawn);
  expect(all(2)).not.toEqual(drawn);
});

test('a cold model makes all calls wait until it is warm, and grows cold again', () => {
  const { latency, time } = latencyAt({ coldStartMs: 60_000 });
  const at = (now: number, slug = 'm') => {
    time.now = now;
    return latency.of(slug, 'x', 1);
  };
  expect(at(0)).toBe(61_000);
  expect(at(20_000)).toBe(41_000);
  expect(at(60_000)).toBe(1000);
  expect(at(60_000, 'another')).toBe(61_000);
  expect(at(360_000)).toBe(1000);
  expect(at(660_001)).toBe(61_000);
});

test('a render takes its time, and says so', async () => {
  const { render } = await simulate({ latencyMs: 120 });
  const startedAt = performance.now();
  const response = await render('x');
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(119);
  expect(Number(response.headers.get('x-generation-time'))).toBeGreaterThanOrEqual(0.119);
});

test.each([
  [1000, 999],
  [0, 100],
  [0, 0],
])('a median of %i with a 95th percentile of %i is refused at the start', async (latencyMs, latencyP95Ms) => {
  await expect(startSimulator({ latencyMs, latencyP95Ms })).rejects.toThrow(
    `SIMULATOR_LATENCY_MS), and the median above 0, but they are ${latencyP95Ms} and ${latencyMs} ms`,
  );
});

test('a 95th percentile far above the median is kept, and nothing takes ten times as long', () => {
  const { latency } = latencyAt({ medianMs: 10, p95Ms: 10_000 });
  const sorted = Array.from({ length: 2000 }, (_, i) => latency.of('m', `prompt ${i}`, 1)).sort((a, b) => a - b);
  expect(sorted[1900]).toBeGreaterThan(5000);
  expect(sorted[1900]).toBeLessThan(20_000);
  expect(sorted.at(-1)).toBe(100_000);
});

test('a 95th percentile that is the median makes all renders take that', () => {
  const { latency } = latencyAt({ p95Ms: 1000 });
  expect(['a', 'b'].map((prompt) => latency.of('m', prompt, 1))).toEqual([1000, 1000]);
});
