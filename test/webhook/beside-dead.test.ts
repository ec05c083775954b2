import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { createAddressGuard } from '@renderyard/shared/webhook/address-guard';
import { parseCidrs } from '@renderyard/shared/webhook/cidr';
import { receiverOf } from '@renderyard/shared/webhook/delivery';
import { newWebhookSecret } from '@renderyard/shared/webhook/sealed-secret';
import { createDeliverer } from '@renderyard/worker/webhook/deliverer';
import { createGuardedAgent } from '@renderyard/worker/webhook/guarded-connector';
import { createSender } from '@renderyard/worker/webhook/send';
import { expect, test } from 'vitest';
import { openWebhookBench, type WebhookBench } from '../redis/webhook-bench.ts';
import { openBadReceivers } from './bad-receivers.ts';
import { openListener } from './listener.ts';

/** More than a process has on its way at a time. */
const BACKLOG = 100;
/** With four attempts each, these have more than that open, too. */
const SLOW_ONES = 20;
/** An attempt lasts longer than the test. */
const TIMEOUT_MS = 120_000;

/** Delivers what is due at a bench, to receivers on this machine. */
function openDeliverer(bench: WebhookBench) {
  const guard = createAddressGuard({ allow: parseCidrs('127.0.0.0/8') ?? [], ownPorts: new Set() });
  const agent = createGuardedAgent({ guard, connectTimeoutMs: 5000, lookup: async () => ['127.0.0.1'] });
  const secret = newWebhookSecret();
  const errors: unknown[] = [];
  const deliverer = createDeliverer({
    webhooks: bench.store,
    sender: createSender({ agent, timeoutMs: TIMEOUT_MS, clock: systemClock }),
    secretsOf: () => [secret],
    timeoutMs: TIMEOUT_MS,
    // Whoever failed once is tried again after the test.
    scheduleS: [0, 3600],
    clock: systemClock,
    logger: createLogger({ service: 'test', level: 'fatal' }),
    onError: async (error) => void errors.push(error),
    onDisabled: () => undefined,
  });
  return {
    errors,
    start: () => deliverer.start(),
    [Symbol.asyncDispose]: async () => {
      deliverer.breakOff();
      await agent.destroy();
      await deliverer.stop();
    },
  };
}

async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain: ${what}.`);
    await sleep(10);
  }
}

test('a healthy receiver gets all that waits for it behind what waits for five bad ones, while these still have attempts open', async () => {
  await using bench = await openWebhookBench();
  let held = 0;
  // The slow one answers nothing before the end of the test.
  await using bad = await openBadReceivers(() => void held++);
  await using healthy = await openListener();
  const to = (url: string) => ({ url: `${url}/hook` });
  for (const url of Object.values(bad.urls)) await bench.deliver(to(url), BACKLOG);
  await bench.deliver(to(healthy.url), BACKLOG);
  await using deliverer = openDeliverer(bench);
  deliverer.start();

  const stateOf = (url: string) => bench.store.receiver(receiverOf('acme', to(url)));
  await until('the healthy one has got everything', async () => {
    if (new Set(healthy.arrivals.map(({ id }) => id)).size < BACKLOG) return false;
    return (await stateOf(healthy.url)).waiting === 0;
  });
  expect(healthy.arrivals.length).toBe(BACKLOG);

  // The slow one has four attempts open, none of which has ended, and the rest of its backlog waits behind them.
  const { redis, prefix } = bench;
  const slow = receiverOf('acme', to(bad.urls.slow));
  await until('the slow one was asked', () => held === 4);
  expect(await redis.scard(`${prefix}sending:${slow}`)).toBe(4);
  expect(await stateOf(bad.urls.slow)).toMatchObject({ waiting: BACKLOG - 4, failingSince: undefined });
  // The others come to their turn, too. The one with 100 MB says 200 first, and that it took what it was sent.
  await until('all bad ones were tried', async () => {
    const states = await Promise.all([bad.urls.down, bad.urls.redirecting, bad.urls.closing].map(stateOf));
    const huge = await stateOf(bad.urls.huge);
    return states.every(({ failingSince }) => failingSince !== undefined) && huge.lastSuccessAt !== undefined;
  });
  for (const url of [bad.urls.down, bad.urls.redirecting, bad.urls.closing])
    expect((await stateOf(url)).waiting).toBeGreaterThan(0);
  expect(bad.listeners.redirecting.arrivals.every(({ path }) => path === '/hook')).toBe(true);
  expect(deliverer.errors).toEqual([]);
});

test('a healthy receiver does not wait until slow ones answer, however many these are', async () => {
  await using bench = await openWebhookBench();
  let held = 0;
  await using slow = await openListener(() => void held++);
  await using healthy = await openListener();
  const endpoints = Array.from({ length: SLOW_ONES }, () => bench.endpoint({ url: `${slow.url}/hook` }));
  for (const id of await Promise.all(endpoints)) await bench.deliver(id, BACKLOG / 10);
  await using deliverer = openDeliverer(bench);
  deliverer.start();
  await until('the slow ones have all places', () => held >= 64);
  await bench.deliver({ url: `${healthy.url}/hook` }, BACKLOG);
  await until('the healthy one has got everything', () => healthy.arrivals.length === BACKLOG);
  await until('each of the slow ones has what it may have', () => held === 4 * SLOW_ONES);
  expect(await bench.redis.zcard(`${bench.prefix}leases`)).toBeGreaterThanOrEqual(4 * SLOW_ONES);
  expect(deliverer.errors).toEqual([]);
});
