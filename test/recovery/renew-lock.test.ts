import { renewLock } from '@renderyard/shared/recovery/renew-lock';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { describe, expect, test } from 'vitest';

const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }));
const lock = (keep: () => Promise<boolean>) => ({
  renewedAt: performance.now(),
  keep,
  lost: 'It is another’s.',
  lockMs: 200,
});

describe('a lock that is renewed', () => {
  test('is held for as long as that works, and longer than it would last', async () => {
    let renewals = 0;
    const renewal = renewLock(
      lock(async () => {
        renewals++;
        return true;
      }),
    );
    await expect.poll(() => renewals, { timeout: 10_000 }).toBeGreaterThan(8);
    expect(renewal.signal.aborted).toBe(false);
    renewal.stop();
  });

  test('is lost as soon as it is found to be another’s', async () => {
    const renewal = renewLock(lock(async () => false));
    expect(await aborted(renewal.signal)).toEqual(new GenerationLostError('It is another’s.'));
    renewal.stop();
  });

  test.for([
    ['fails', () => Promise.reject(new Error('Redis is away.'))],
    ['never ends', () => new Promise<boolean>(() => undefined)],
  ] as const)('is taken for lost when renewing it %s for its whole time', async ([, keep]) => {
    const given = lock(keep);
    const renewal = renewLock(given);
    expect(await aborted(renewal.signal)).toBeInstanceOf(GenerationLostError);
    expect(performance.now() - given.renewedAt).toBeGreaterThanOrEqual(200);
    renewal.stop();
  });
});
