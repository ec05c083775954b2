import { restoreUncertain } from '@renderyard/shared/recovery/uncertain-calls';
import { describe, expect, test } from 'vitest';
import { type Bench, COST, LIMITS, openBench } from './bench.ts';

const SETTINGS = { floor: 0, low: 0, resume: 0 };
const UNCERTAIN = { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } } as const;
/** From then on a call is billed no more. */
const BILLED_MS = LIMITS.timeoutMs + 60_000;

/** A call of unknown outcome at one upstream, before the workers are started against another. */
async function goElsewhere(bench: Bench) {
  await bench.ledger.meetUpstream('one', SETTINGS);
  await bench.balance(100 * COST);
  const call = await bench.call();
  await bench.end(call, UNCERTAIN);
  expect(await bench.books()).toMatchObject({ uncertain: COST });
  await bench.ledger.meetUpstream('two', SETTINGS);
  await bench.balance(50 * COST);
  return call;
}

describe('a call of unknown outcome, after a switch to another upstream,', () => {
  test('is listed still, and none of the new balance is held for it', async () => {
    await using bench = await openBench();
    const { id } = await goElsewhere(bench);
    const listed = { call: id, how: 'timeout', estimate: COST, resolved: true, balanceNet: undefined };
    expect(await bench.books()).toMatchObject({ uncertain: 0, balance: 50 * COST, uncertainCalls: [listed] });
    // Nor does a later balance of the new one say anything of it.
    await bench.pass(BILLED_MS);
    await bench.balance(40 * COST);
    expect(await bench.books()).toMatchObject({ uncertain: 0, balance: 40 * COST, uncertainCalls: [listed] });
    expect(await bench.ledger.unnoted(10)).toMatchObject({ write: [[id, expect.any(String)]], remove: [] });
  });

  test('comes back as such into a Redis that was emptied', async () => {
    await using bench = await openBench();
    const { id } = await goElsewhere(bench);
    const { write } = await bench.ledger.unnoted(10);
    await using emptied = await openBench();
    const to = { redis: emptied.redis, prefix: emptied.prefix, generation: emptied.generation.current };
    await restoreUncertain(
      to,
      write.map(([call, text]) => ({ call, entry: JSON.parse(text) })),
    );
    expect(await emptied.books()).toMatchObject({ uncertain: 0, uncertainCalls: [{ call: id, resolved: true }] });
  });

  test('leaves the list when its worker tells what became of it, and nothing is booked at the new one', async () => {
    await using bench = await openBench();
    const call = await goElsewhere(bench);
    const before = await bench.books();
    await bench.end(call, { settlement: { kind: 'released' }, status: 'queued' });
    const after = await bench.books();
    expect(after).toMatchObject({ uncertain: 0, uncertainCalls: [], balance: before.balance, spent: before.spent });
  });

  test('is counted again by who goes back while it may be billed yet, and settled there', async () => {
    await using bench = await openBench();
    const { id } = await goElsewhere(bench);
    await bench.ledger.meetUpstream('one', SETTINGS);
    await bench.balance(100 * COST);
    expect(await bench.books()).toMatchObject({ uncertain: COST, uncertainCalls: [{ call: id, resolved: false }] });
    await bench.pass(BILLED_MS);
    await bench.balance(99 * COST);
    expect(await bench.books()).toMatchObject({ uncertain: 0, uncertainCalls: [{ call: id, resolved: true }] });
  });

  test('stays as it is for who goes back when it is billed no more', async () => {
    await using bench = await openBench();
    const { id } = await goElsewhere(bench);
    await bench.pass(BILLED_MS);
    await bench.ledger.meetUpstream('one', SETTINGS);
    expect(await bench.books()).toMatchObject({ uncertain: 0, uncertainCalls: [{ call: id, resolved: true }] });
  });
});
