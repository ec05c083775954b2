import { newId } from '@renderyard/shared/ids';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bench, openBench } from './bench.ts';

/** The share of a rate that a window may hold. */
const mostIn = (windowMs: number, perMinute: number) => Math.ceil((windowMs / 60_000) * perMinute);

/** The most calls that any window of this length holds; both its ends belong to it. */
function busiest(times: readonly number[], windowMs: number): number {
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last++) {
    while ((times[last] ?? 0) - (times[first] ?? 0) > windowMs) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

describe('the pace', () => {
  it('keeps many askers apart', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const perMinute = 6000;
    const connections = await Promise.all(Array.from({ length: 4 }, () => bench.connect()));
    const wanted = 150;
    const times: number[] = [];
    const asker = async (index: number) => {
      const { ledger } = connections[index % connections.length] ?? bench;
      for (let i = 0; times.length < wanted; i++) {
        const job = await bench.job();
        for (;;) {
          const request = { job, call: `call_${index}_${i}`, worker: 'w', model: 'm', costClass: 'c', estimate: 1 };
          const limits = { floor: 0, slots: 1e6, perMinute, timeoutMs: 1000, trialMs: 1000 };
          const verdict = await ledger.admit(request, limits);
          if (verdict.verdict === 'go') {
            times.push(verdict.startedAt);
            break;
          }
          if (verdict.verdict !== 'wait' || times.length >= wanted) return;
          await new Promise((resolve) => setTimeout(resolve, verdict.ms));
        }
      }
    };
    await Promise.all(Array.from({ length: 24 }, (_, index) => asker(index)));
    times.sort((a, b) => a - b);
    // Calls may catch up at nine tenths of the mean distance; a millisecond is for rounding.
    const interval = 60_000 / perMinute;
    for (let next = 1; next < times.length; next++)
      expect((times[next] ?? 0) - (times[next - 1] ?? 0)).toBeGreaterThanOrEqual(0.9 * interval - 1);
  });

  it.each([1, 5, 60, 100, 999, 6000])(
    'of %i a minute is never passed in any sliding minute or tenth of one',
    async (perMinute) => {
      await using bench = await openBench();
      await bench.balance(1e12);
      const pause = fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 3000 }));
      await fc.assert(
        fc.asyncProperty(fc.array(pause, { minLength: 12, maxLength: 40 }), async (pauses) => {
          await bench.redis.del(`${bench.prefix}pace`);
          const times = await callAfter(pauses, perMinute, bench);
          for (const windowMs of [60_000, 6000])
            expect(busiest(times, windowMs)).toBeLessThanOrEqual(mostIn(windowMs, perMinute));
        }),
        { numRuns: 3 },
      );
    },
  );
});

/**
 * Makes a call after each pause, at the very millisecond at which it is let through. Nothing waits: time is moved.
 * @returns when the calls were let through, in milliseconds
 */
async function callAfter(pauses: readonly number[], perMinute: number, bench: Bench): Promise<readonly number[]> {
  const times: number[] = [];
  let moved = 0;
  const wait = async (ms: number) => {
    moved += ms;
    if (ms > 0) await bench.pass(ms);
  };
  for (const pause of pauses) {
    await wait(pause);
    const [job, call] = [await bench.job(), newId('call')];
    let verdict = await bench.ask(job, { call, perMinute, estimate: 1 });
    while (verdict.verdict === 'wait') {
      await wait(verdict.ms);
      verdict = await bench.ask(job, { call, perMinute, estimate: 1 });
    }
    if (verdict.verdict !== 'go') throw new Error(`a call was not granted: ${verdict.verdict}`);
    times.push(verdict.startedAt + moved);
    await bench.end({ id: call, job }, { settlement: { kind: 'released' } });
  }
  return times;
}
