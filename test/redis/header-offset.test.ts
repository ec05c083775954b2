import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, openBench } from './bench.ts';

const FREE = 40 * COST;
const START = 1000 * COST;

/** An account whose headers tell `apart` more than the balance call. */
async function openApart(apart: number) {
  const bench: Bench = await openBench();
  const of = { holds: START, apart };
  await bench.balance(of.holds);
  const balance = async () => (await bench.books()).balance;
  return {
    ...bench,
    of,
    believed: balance,
    read: () => bench.balance(of.holds),
    /** One image; its answer's header tells what is left, or `tells`. */
    async render(tells?: number) {
      const call = await bench.call();
      of.holds -= COST;
      const { seq, startedAt } = call.grant;
      await bench.end(call, { reading: { value: tells ?? of.holds + of.apart, seq, startedAt } });
      return balance();
    },
    /** An image, and the balance call after it. */
    async pair(tells?: number) {
      await this.render(tells);
      await this.read();
    },
  };
}

describe('headers that tell less than the balance call, as without free credits', () => {
  it('are believed as they are at first, and as the call would tell it after three pairs', async () => {
    await using bench = await openApart(-FREE);
    for (let pairs = 0; pairs < 3; pairs++) {
      expect(await bench.render()).toBe(bench.of.holds - FREE);
      await bench.read();
      expect(await bench.believed()).toBe(bench.of.holds);
    }
    for (let i = 0; i < 5; i++) expect(await bench.render()).toBe(bench.of.holds);
  });

  it('tell at once what others spend, once the difference is known', async () => {
    await using bench = await openApart(-FREE);
    for (let pairs = 0; pairs < 3; pairs++) await bench.pair();
    bench.of.holds -= 300 * COST;
    expect(await bench.render()).toBe(bench.of.holds);
  });

  it('are believed as they are again, when the free credits are used up', async () => {
    await using bench = await openApart(-FREE);
    for (let pairs = 0; pairs < 3; pairs++) await bench.pair();
    bench.of.apart = 0;
    await bench.pair();
    bench.of.holds -= 300 * COST;
    expect(await bench.render()).toBe(bench.of.holds);
  });
});

describe('headers that tell more than the balance call', () => {
  it('raise nothing, and less is believed of them after three pairs', async () => {
    await using bench = await openApart(FREE);
    expect(await bench.render()).toBe(bench.of.holds);
    await bench.read();
    for (let pairs = 1; pairs < 3; pairs++) await bench.pair();
    bench.of.holds -= 300 * COST;
    expect(await bench.render()).toBe(bench.of.holds);
  });
});

describe('what is learned of headers', () => {
  it.each([0, 1, 2])('is nothing from one header that is too low, as pair %i of three', async (odd) => {
    await using bench = await openApart(0);
    for (let i = 0; i < 3; i++) await bench.pair(i === odd ? 7 : undefined);
    bench.of.holds -= 300 * COST;
    expect(await bench.render()).toBe(bench.of.holds);
  });

  it.each([0, 1, 2])('is nothing from one header that is garbage and high, as pair %i of three', async (odd) => {
    await using bench = await openApart(0);
    for (let i = 0; i < 3; i++) await bench.pair(i === odd ? 5000 * START : undefined);
    expect(await bench.render()).toBe(bench.of.holds);
  });

  it.each([0, 1, 2])('is nothing from a top-up between header and call, as pair %i of three', async (odd) => {
    await using bench = await openApart(0);
    for (let i = 0; i < 3; i++) {
      await bench.render();
      if (i === odd) bench.of.holds += 500 * COST;
      await bench.read();
    }
    bench.of.holds -= 300 * COST;
    expect(await bench.render()).toBe(bench.of.holds);
  });

  it('is nothing more from two balance calls after one header', async () => {
    await using bench = await openApart(0);
    await bench.render();
    for (let i = 0; i < 3; i++) {
      bench.of.holds += 50 * COST;
      await bench.read();
    }
    bench.of.holds -= 300 * COST;
    expect(await bench.render()).toBe(bench.of.holds);
  });

  it('is nothing while calls are in flight', async () => {
    await using bench = await openApart(-FREE);
    await bench.call();
    for (let i = 0; i < 3; i++) await bench.pair();
    expect(await bench.render()).toBe(bench.of.holds - FREE);
  });

  it('is forgotten when the balance call tells nothing, and headers then may raise', async () => {
    await using bench = await openApart(-FREE);
    for (let pairs = 0; pairs < 3; pairs++) await bench.pair();
    await bench.balance(undefined);
    expect(await bench.render()).toBe(bench.of.holds - FREE);
    expect(await bench.render(2 * START)).toBe(2 * START);
    await bench.read();
    expect(await bench.render()).toBe(bench.of.holds - FREE);
    expect(await bench.render(5 * START)).toBe(bench.of.holds - FREE);
  });
});

describe('whatever headers tell', () => {
  it('no header raises what is believed, as long as the balance call tells it', { timeout: 60_000 }, async () => {
    const told = fc.oneof(fc.constant(undefined), fc.integer({ min: -1e12, max: 1e14 }));
    const step = fc.record({
      tells: told,
      read: fc.boolean(),
      adds: fc.integer({ min: -20, max: 20 }),
      together: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, FREE, -FREE),
        fc.array(step, { minLength: 1, maxLength: 15 }),
        async (apart, steps) => {
          await using bench = await openApart(apart);
          for (const { tells, read, adds, together } of steps) {
            // Near the floor the balance is asked for.
            if (((await bench.believed()) ?? 0) < 5 * COST) await bench.read();
            const other = together ? await bench.call({ estimate: 1, costClass: 'other' }) : undefined;
            const before = (await bench.believed()) ?? 0;
            expect(await bench.render(tells)).toBeLessThanOrEqual(before - COST);
            if (other !== undefined) await bench.end(other, { status: 'queued', settlement: { kind: 'released' } });
            bench.of.holds += adds * COST;
            if (read) {
              await bench.read();
              expect(await bench.believed()).toBe(bench.of.holds);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
