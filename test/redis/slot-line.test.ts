import { parseRowJobId } from '@renderyard/shared/batch/row';
import type { Grant } from '@renderyard/shared/credits/admission';
import { describe, expect, it } from 'vitest';
import { type BatchBench, type Call, type Opening, openBatchBench } from './batch-bench.ts';
import { COST } from './bench.ts';

/** Longer than a row is believed to wait that does not ask again, in milliseconds. */
const SILENT_MS = 1200;
/** Longer than a batch waits while others are served again of which as many calls are in flight, in milliseconds. */
const PATIENCE_MS = 600;

/** Rows that wait for one of so many slots, each with a ticket, and calls in flight, by their batch. */
async function openSlots(slots: number) {
  const bench: BatchBench = await openBatchBench();
  await bench.balance(10_000 * COST);
  const waiting = new Map<string, string[]>();
  const calls = new Map<string, (Call & { readonly grant: Grant })[]>();
  const of = <T>(map: Map<string, T[]>, batch: string): T[] => {
    const list = map.get(batch) ?? [];
    map.set(batch, list);
    return list;
  };
  const feed = async () => {
    for (const { job } of await bench.jobs.takeTickets(2 * slots))
      of(waiting, parseRowJobId(job)?.batch ?? '').push(job);
  };
  return {
    bench,
    pass: bench.pass,
    async open(rows: number, opening?: Opening): Promise<string> {
      const batch = await bench.open(rows, opening);
      await feed();
      return batch;
    },
    /** The row of the batch that waits first asks. @returns whether it got a slot. */
    async ask(batch: string): Promise<boolean> {
      const [job] = of(waiting, batch);
      if (job === undefined) throw new Error(`no row of ${batch} waits`);
      const call = `call_${job}`;
      const verdict = await bench.ask(job, { call, slots });
      if (verdict.verdict !== 'go') {
        expect(verdict).toEqual({ verdict: 'wait', reason: 'slot', ms: 100 });
        return false;
      }
      of(waiting, batch).shift();
      of(calls, batch).push({ id: call, job, grant: verdict });
      return true;
    },
    /** The oldest call of the batch ends with an image, and others get the tickets that are free. */
    async end(batch: string): Promise<void> {
      const call = of(calls, batch).shift();
      if (call === undefined) throw new Error(`no call of ${batch} is in flight`);
      const { seq, startedAt } = call.grant;
      await bench.endRow(call, { reading: { value: 1e13, seq, startedAt } });
      await feed();
    },
    /** Whether a row of the batch has a ticket and no call. */
    waits: (batch: string) => of(waiting, batch).length > 0,
    inFlight: (...batches: readonly string[]) => batches.map((batch) => of(calls, batch).length),
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

type Slots = Awaited<ReturnType<typeof openSlots>>;

/** Two batches, of which the first has all slots and the other has tickets. */
async function openTwo(slots: number, second?: Opening): Promise<Slots & { readonly ids: readonly [string, string] }> {
  const yard = await openSlots(slots);
  const first = await yard.open(200);
  for (let i = 0; i < slots; i++) await yard.ask(first);
  const other = await yard.open(200, second);
  // Tickets pass to the other as rows of the first end.
  for (let i = 0; i < slots; i++) {
    await yard.end(first);
    await yard.ask(first);
  }
  expect(yard.inFlight(first, other)).toEqual([slots, 0]);
  return { ...yard, ids: [first, other] };
}

describe('a slot that becomes free', () => {
  it('is for the batch with the fewest calls in flight, though rows of another ask first', async () => {
    await using yard = await openTwo(4);
    const [big, small] = yard.ids;
    expect(await yard.ask(small)).toBe(false);
    for (const expected of [1, 2]) {
      await yard.end(big);
      expect(await yard.ask(big)).toBe(false);
      expect(await yard.ask(small)).toBe(true);
      expect(yard.inFlight(big, small)).toEqual([4 - expected, expected]);
      expect(await yard.ask(small)).toBe(false);
    }
    // Slots are shared evenly now, and stay so whoever asks first.
    for (let i = 0; i < 12; i++) {
      const [ending, other] = i % 3 === 0 ? [big, small] : [small, big];
      await yard.end(ending);
      expect(await yard.ask(other)).toBe(false);
      expect(await yard.ask(ending)).toBe(true);
      expect(yard.inFlight(big, small)).toEqual([2, 2]);
      expect(await yard.ask(big)).toBe(false);
      expect(await yard.ask(small)).toBe(false);
    }
  });

  it('is shared by accounts first, then by batches of one', async () => {
    await using yard = await openSlots(4);
    const mine = [await yard.open(100), await yard.open(100)] as const;
    for (let i = 0; i < 4; i++) await yard.ask(mine[0]);
    const theirs = await yard.open(100, { account: 'other' });
    for (let i = 0; i < 20; i++) {
      const waiting = [...mine, theirs].filter(yard.waits);
      for (const batch of waiting) expect(await yard.ask(batch)).toBe(false);
      const [most = ''] = [...mine, theirs].sort((x, y) => (yard.inFlight(y)[0] ?? 0) - (yard.inFlight(x)[0] ?? 0));
      await yard.end(most);
      const granted: boolean[] = [];
      for (const batch of [...mine, theirs].filter(yard.waits)) granted.push(await yard.ask(batch));
      expect(granted.filter(Boolean)).toHaveLength(1);
    }
    expect(yard.inFlight(...mine, theirs)).toEqual([1, 1, 2]);
  });

  it('is, of batches with as many calls in flight, for one that has waited long', async () => {
    await using yard = await openTwo(1);
    const [big, small] = yard.ids;
    expect(await yard.ask(small)).toBe(false);
    let last = big;
    for (let i = 0; i < 6; i++) {
      await yard.pass(PATIENCE_MS);
      await yard.end(last);
      const next = last === big ? small : big;
      expect(await yard.ask(last)).toBe(false);
      expect(await yard.ask(next)).toBe(true);
      expect(await yard.ask(last)).toBe(false);
      last = next;
    }
  });

  it('is anybody’s of equals that have not waited long', async () => {
    await using yard = await openTwo(1);
    const [big, small] = yard.ids;
    expect(await yard.ask(small)).toBe(false);
    await yard.end(big);
    expect(await yard.ask(big)).toBe(true);
  });

  it('is kept for no batch whose rows ask no more', async () => {
    await using yard = await openTwo(4);
    const [big, small] = yard.ids;
    expect(await yard.ask(small)).toBe(false);
    await yard.end(big);
    expect(await yard.ask(big)).toBe(false);
    // The worker with the other's rows dies.
    await yard.pass(SILENT_MS);
    expect(await yard.ask(big)).toBe(true);
  });

  it('is kept for no batch whose tickets all have calls', async () => {
    await using yard = await openSlots(4);
    const big = await yard.open(100);
    for (let i = 0; i < 4; i++) await yard.ask(big);
    const small = await yard.open(1);
    await yard.end(big);
    expect(await yard.ask(big)).toBe(true);
    expect(await yard.ask(small)).toBe(false);
    await yard.end(big);
    expect(await yard.ask(big)).toBe(false);
    expect(await yard.ask(small)).toBe(true);
    await yard.end(big);
    expect(await yard.ask(big)).toBe(true);
    expect(yard.inFlight(big, small)).toEqual([3, 1]);
  });

  it('is for any row where only one batch waits', async () => {
    await using yard = await openSlots(2);
    const batch = await yard.open(20);
    for (const granted of [true, true, false]) expect(await yard.ask(batch)).toBe(granted);
    for (let i = 0; i < 5; i++) {
      await yard.pass(PATIENCE_MS);
      await yard.end(batch);
      expect(await yard.ask(batch)).toBe(true);
      expect(await yard.ask(batch)).toBe(false);
    }
  });
});
