import { setImmediate as settled } from 'node:timers/promises';
import type { Clock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { newWebhookSecret } from '@renderyard/shared/webhook/sealed-secret';
import { createDeliverer } from '@renderyard/worker/webhook/deliverer';
import type { Attempt } from '@renderyard/worker/webhook/send';
import type { WebhookBench } from '../redis/webhook-bench.ts';

/** A deliverer whose attempts end when the test says so, and for which time passes when the test says so. */
export interface HeldSends extends AsyncDisposable {
  /** Where the attempts went that have not ended, in the order in which they began. */
  readonly open: readonly string[];
  readonly errors: readonly unknown[];
  /** Lets so many milliseconds pass, one by one; after each, all is done that was to be done by then. */
  pass(ms: number): Promise<void>;
  /** Ends the oldest open attempt: the webhook was taken. Its place is free when this resolves. */
  endOldest(): Promise<void>;
}

/** A clock that stands still, and tells when somebody sleeps by it. */
function openStandingClock() {
  let now = 0;
  const sleepers = new Set<{ readonly until: number; readonly wake: () => void }>();
  let slept = Promise.withResolvers<void>();
  const clock: Clock = {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        const sleeper = {
          until: now + ms,
          wake: () => {
            sleepers.delete(sleeper);
            resolve();
          },
        };
        signal?.addEventListener('abort', sleeper.wake, { once: true });
        sleepers.add(sleeper);
        slept.resolve();
      }),
  };
  return {
    clock,
    /** Resolves as soon as somebody sleeps. */
    async untilAsleep(): Promise<void> {
      while (sleepers.size === 0) {
        slept = Promise.withResolvers();
        await slept.promise;
      }
    },
    tick(): void {
      now++;
      for (const sleeper of [...sleepers]) if (sleeper.until <= now) sleeper.wake();
    },
  };
}

/** Delivers what is due at a bench, and has done what it can at once when this resolves. */
export async function openHeldSends(bench: WebhookBench): Promise<HeldSends> {
  const { clock, untilAsleep, tick } = openStandingClock();
  const open: { readonly url: string; readonly end: (attempt: Attempt) => void }[] = [];
  const errors: unknown[] = [];
  const secret = newWebhookSecret();
  let recorded = Promise.withResolvers<void>();
  const deliverer = createDeliverer({
    webhooks: {
      take: bench.store.take,
      record: (attempt) => bench.store.record(attempt).finally(() => recorded.resolve()),
    },
    sender: { send: ({ url }) => new Promise((end) => open.push({ url, end })) },
    secretsOf: () => [secret],
    timeoutMs: 120_000,
    scheduleS: [0, 3600],
    clock,
    logger: createLogger({ service: 'test', level: 'fatal' }),
    onError: async (error) => void errors.push(error),
    onDisabled: () => undefined,
  });
  const endOldest = () => open.shift()?.end({ status: 204, durationMs: 1, answer: '' });
  deliverer.start();
  await untilAsleep();
  return {
    get open() {
      return open.map(({ url }) => url);
    },
    errors,
    async pass(ms) {
      for (let passed = 0; passed < ms; passed++) {
        tick();
        await untilAsleep();
      }
    },
    async endOldest() {
      recorded = Promise.withResolvers();
      endOldest();
      await recorded.promise;
      await settled();
      await untilAsleep();
    },
    [Symbol.asyncDispose]: async () => {
      deliverer.breakOff();
      while (open.length > 0) endOldest();
      await deliverer.stop();
    },
  };
}
