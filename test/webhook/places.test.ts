import { expect, test } from 'vitest';
import { openWebhookBench, type WebhookBench } from '../redis/webhook-bench.ts';
import { openHeldSends } from './held-sends.ts';

/** As the deliverer has them, and as docs/webhooks.md says. */
const MOST_YOUNG = 64;
const MOST_YOUNG_FAILING = 16;
const MOST_OPEN = 512;
const MOST_OPEN_FAILING = 128;
const SLOW_MS = 250;
/** By then a process has begun all that it may begin at once: it takes sixteen, looks after 5 ms, and takes more. */
const BEGUN_MS = 100;
/** By then it has seen that an attempt is slow: it looks twice in the time after which that is so. */
const SEEN_MS = BEGUN_MS + 1.5 * SLOW_MS;
/** By then it has looked again, though nobody told it of anything: it does so twice a second. */
const LOOKED_MS = BEGUN_MS + 500;
const LONG_MS = 5000;

const urlOf = (kind: string, index = 0) => `https://${kind}-${index}.example/`;

async function owe(bench: WebhookBench, kind: string, receivers: number, each: number): Promise<void> {
  for (let i = 0; i < receivers; i++) await bench.deliver({ url: urlOf(kind, i) }, each);
}

/** Each of these has failed once, and its next attempt is due. */
async function fail(bench: WebhookBench, kind: string, receivers: number): Promise<void> {
  await owe(bench, kind, receivers, 1);
  for (let failed = 0; failed < receivers; ) {
    const taken = await bench.take({ failingMost: 0 });
    for (const one of taken) await bench.record(one, 'failed', { waitMs: 0 });
    failed += taken.length;
  }
}

test('a healthy receiver waits a quarter of a second for the places of slow ones, and no longer', async () => {
  await using bench = await openWebhookBench();
  await owe(bench, 'slow', 18, 10);
  await using sends = await openHeldSends(bench);
  await sends.pass(BEGUN_MS);
  expect(sends.open).toHaveLength(MOST_YOUNG);
  await bench.deliver({ url: urlOf('healthy') });
  await sends.pass(SLOW_MS - BEGUN_MS - 1);
  expect(sends.open).toHaveLength(MOST_YOUNG);
  await sends.pass(SEEN_MS - SLOW_MS + 1);
  expect(sends.open).toContain(urlOf('healthy'));
  // Each of the slow ones has its four.
  expect(sends.open).toHaveLength(18 * 4 + 1);
  expect(sends.errors).toEqual([]);
});

test('no more attempts are open at once than a process may have, however long they last', async () => {
  await using bench = await openWebhookBench();
  await owe(bench, 'slow', MOST_OPEN / 4 + 1, 4);
  await using sends = await openHeldSends(bench);
  await sends.pass(LONG_MS);
  expect(sends.open).toHaveLength(MOST_OPEN);
  await bench.deliver({ url: urlOf('healthy') });
  for (let ended = 0; ended < 5; ended++) await sends.endOldest();
  await sends.pass(SEEN_MS);
  expect(sends.open).toContain(urlOf('healthy'));
  expect(sends.open).toHaveLength(MOST_OPEN);
  expect(sends.errors).toEqual([]);
});

test('receivers that fail have a quarter of the places, young and old, and leave the others theirs', async () => {
  await using bench = await openWebhookBench();
  await fail(bench, 'failing', MOST_OPEN_FAILING + 10);
  await using sends = await openHeldSends(bench);
  await sends.pass(BEGUN_MS);
  expect(sends.open).toHaveLength(MOST_YOUNG_FAILING);
  await sends.pass(LOOKED_MS - BEGUN_MS);
  expect(sends.open).toHaveLength(2 * MOST_YOUNG_FAILING);
  await sends.pass(LONG_MS);
  expect(sends.open).toHaveLength(MOST_OPEN_FAILING);
  await bench.deliver({ url: urlOf('healthy') }, 4);
  await sends.pass(LOOKED_MS);
  expect(sends.open).toHaveLength(MOST_OPEN_FAILING + 4);
  expect(sends.open.filter((url) => url === urlOf('healthy'))).toHaveLength(4);
  expect(sends.errors).toEqual([]);
});
