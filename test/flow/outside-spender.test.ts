import type { LedgerEntry } from '@renderyard/simulator/control-client';
import { expect, test } from 'vitest';
import { type Installation, startInstallation } from '../support/installation.ts';

/**
 * What another program spends from the account cannot be held back, only seen. How far can our own calls go below the
 * floor by it? By no more calls than there are slots (`SEGMIND_CONCURRENCY`), each time that the account sinks below:
 *
 * Let a be the first call of ours that leaves the account below the floor; and of a and the calls billed after it, let d
 * be the one whose end is recorded first. What d's header told is no more than a left, so it is below the floor too. The
 * record takes the lower of it and of what was believed before (balance.lua), and as long as no more than the floor is
 * believed, admit.lua grants nothing. Only a quiet reading raises the belief, one during which nothing was settled:
 * none that was begun before d was recorded is that, and any begun later tells what is below the floor. So each of our
 * calls that goes below was granted before d was recorded, and had not been recorded itself: it held a slot just then.
 *
 * This asks nothing of the estimates, of the order of answers, or of how the others spend. It does ask that answers tell
 * the balance: a call that is billed below the floor and ends without telling it, as a lost one does, lets another have
 * its slot, and the bound is one more. No rule is better than one call a slot: calls that have left cannot be called
 * back, and all of them may be billed after the others have spent.
 */
const FLOOR = 1;
const PRICE = 0.0138;
/** What a picture of 64×64 costs, before noise. */
const SMALL = (PRICE * 64 * 64) / (1024 * 1024);
/** The others begin when so many of our pictures are billed. */
const BEGIN = 40;
/** Asked for at first, and again when the others have begun: there is work enough however late they do. */
const AT_FIRST = 180;
const AND_THEN = 100;
const PICTURES = AT_FIRST + AND_THEN;

interface Weather {
  /** Pictures that the account could pay for above the floor, at first. */
  readonly affordable: number;
  readonly slots: number;
  readonly seed: number;
  readonly latencyMs: number;
  readonly latencyP95Ms: number;
  readonly priceNoise: number;
}

function start({ affordable, slots, ...weather }: Weather): Promise<Installation> {
  return startInstallation({
    workers: 3,
    simulator: { balance: FLOOR + affordable * SMALL, overdraft: true, ...weather },
    env: {
      CREDIT_FLOOR: String(FLOOR),
      CREDIT_ESTIMATE: String(4 * SMALL),
      SEGMIND_CONCURRENCY: String(slots),
      WORKER_CONCURRENCY: '12',
      SEGMIND_RPM: '60000',
    },
  });
}

async function untilBilled(yard: Installation, pictures: number): Promise<void> {
  await yard.until(
    `${pictures} pictures are billed`,
    async () => (await yard.upstream.state()).billed_count >= pictures,
  );
}

async function untilHeld(yard: Installation): Promise<void> {
  await yard.until('credits are held and nothing is reserved', async () => {
    const { holds, reserved } = await yard.credits();
    return holds.some((hold) => hold.reason === 'credits') && reserved === 0;
  });
}

/** Which of the calls left the account below the floor, and what of their costs lies below it, in credits. */
function overshootOf(billed: readonly LedgerEntry[]) {
  const below = billed.filter((entry) => entry.balance_after < FLOOR);
  return {
    images: below.length,
    credits: below.reduce((sum, entry) => sum + Math.min(entry.cost, FLOOR - entry.balance_after), 0),
    dearest: Math.max(...billed.map((entry) => entry.cost)),
  };
}

/** Lets others spend while `PICTURES` are rendered, and looks at all that the account shows afterwards. */
async function drainedBy(weather: Weather, spend: (yard: Installation) => Promise<void>) {
  await using yard = await start(weather);
  const ids = await yard.submit(Array.from({ length: AT_FIRST }, (_, i) => `picture ${i} of ${weather.seed}`));
  await untilBilled(yard, BEGIN);
  await spend(yard);
  ids.push(...(await yard.submit(Array.from({ length: AND_THEN }, (_, i) => `one more: ${i} of ${weather.seed}`))));
  await untilHeld(yard);

  const billed = await yard.upstream.wholeLedger();
  const overshoot = overshootOf(billed);
  const held = await yard.jobs(ids);
  const rendered = held.filter((job) => job.status === 'succeeded').length;
  const waiting = held.filter((job) => job.status === 'queued');
  expect(rendered).toBe(billed.length);
  expect(waiting.length).toBe(PICTURES - rendered);
  expect(waiting.length).toBeGreaterThan(0);
  expect(waiting.every((job) => job.attempts === 0 && job.hold?.reason === 'credits')).toBe(true);

  await yard.upstream.spendPerSecond(0);
  expect((await yard.upstream.state()).billed_count).toBe(rendered);
  await yard.upstream.setBalance(FLOOR + 2 * PICTURES * SMALL);
  const jobs = await yard.ended(ids);
  expect(jobs.every((job) => job.status === 'succeeded' && job.attempts === 1)).toBe(true);
  const { billed_count, balance } = await yard.upstream.ledger();
  expect(billed_count).toBe(PICTURES);
  await yard.until('the books have the balance', async () => {
    const books = await yard.credits();
    return Math.abs((books.balance ?? 0) - balance) < 2e-9 && books.uncertain.count === 0;
  });
  return { ...overshoot, rendered };
}

/** At once, so that `left` pictures are left above the floor. */
const atOnce = (left: number) => async (yard: Installation) => {
  const { balance } = await yard.upstream.state();
  await yard.upstream.spend((balance - FLOOR - left * SMALL).toFixed(10));
};

/** A little all the time: as much as so many pictures a second cost. */
const steadily = (pictures: number) => async (yard: Installation) => {
  await yard.upstream.spendPerSecond((pictures * SMALL).toFixed(10));
};

const calm = { slots: 16, latencyMs: 150, latencyP95Ms: 150, priceNoise: 0 };
const rough = { slots: 24, latencyMs: 120, latencyP95Ms: 700, priceNoise: 0.4 };
const rich = 10 * PICTURES;

test.for([
  ['all but half a picture at once', { ...calm, affordable: rich, seed: 1 }, atOnce(0.5)],
  ['all but five at once, where calls overtake each other', { ...rough, affordable: rich, seed: 2 }, atOnce(5)],
  ['a little all the time', { ...calm, affordable: 150, seed: 3 }, steadily(40)],
  ['a lot all the time, where calls overtake each other', { ...rough, affordable: 220, seed: 4 }, steadily(400)],
] as const)(
  'another program that spends %s takes us below the floor by no more than one image a slot; then all waits, and goes on after a top-up',
  { timeout: 90_000 },
  async ([, weather, spend], { annotate }) => {
    const { images, credits, dearest, rendered } = await drainedBy(weather, spend);
    await annotate(
      `${images} images (${credits.toFixed(6)} credits) below the floor with ${weather.slots} slots, after ${rendered}`,
    );
    expect(images).toBeLessThanOrEqual(weather.slots);
    // Sums of decimal fractions differ in their last bits, and where every slot was lost both are the same amount.
    expect(credits - weather.slots * dearest).toBeLessThan(1e-12);
  },
);
