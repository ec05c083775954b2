import type { Flush } from '@renderyard/shared/batch/batch-states';
import { describe, expect, it } from 'vitest';
import { type BatchBench, FLUSH_AFTER_MS, FLUSH_LEASE_MS, openBatchBench, PART } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST } from './bench.ts';
import { contents } from './keys.ts';

async function open(rows: number) {
  const bench = await openBatchBench();
  await bench.balance(1000 * COST);
  return { bench, id: await bench.open(rows) };
}

const render = async (bench: BatchBench, count: number) => bench.renderAll(await bench.jobs.takeTickets(count));

/** Takes what is due. @throws when nothing is. */
async function take(bench: BatchBench): Promise<Flush> {
  const flush = await bench.states.takeFlush(FLUSH_LEASE_MS);
  if (flush === undefined) throw new Error('nothing is due to be written');
  return flush;
}

const versionOf = async (bench: BatchBench, id: string) =>
  Number(await bench.redis.hget(`${bench.prefix}batch:${id}`, 'version'));

describe('results', () => {
  it('are due 15 seconds after the first of them, of the parts that have any, and by one worker at a time', async () => {
    const { bench, id } = await open(5 * PART);
    await using _ = bench;
    await render(bench, PART + 1);
    expect(await bench.states.takeFlush(FLUSH_LEASE_MS)).toBeUndefined();
    await bench.pass(FLUSH_AFTER_MS - 2000);
    await render(bench, 1);
    expect(await bench.states.takeFlush(FLUSH_LEASE_MS)).toBeUndefined();
    await bench.pass(2000);
    const flush = await take(bench);
    expect(flush).toMatchObject({ batch: id, status: 'running', ending: false });
    expect(flush.parts).toEqual([
      { part: 0, version: undefined },
      { part: 1, version: undefined },
    ]);
    expect(await bench.states.takeFlush(FLUSH_LEASE_MS)).toBeUndefined();
  });

  it('leave Redis once they are written, and their versions are known', async () => {
    const { bench, id } = await open(5 * PART);
    await using _ = bench;
    await render(bench, PART + 1);
    await bench.pass(FLUSH_AFTER_MS);
    const flush = await take(bench);
    expect(await bench.writeParts(flush)).toBe(true);
    await bench.states.endFlush(flush);
    for (const part of [0, 1]) expect(await bench.states.results(id, part)).toEqual(new Map());
    const { version } = flush;
    expect(await bench.states.resultVersions(id)).toEqual(new Map([0, 1].map((part) => [part, version])));
    expect(bench.written.get(id)?.size).toBe(PART + 1);
    await expectBatchesInOrder(bench, [id]);
    expect(await bench.states.takeFlush(FLUSH_LEASE_MS)).toBeUndefined();
  });

  it('that come while others are written stay, and are due again', async () => {
    const { bench, id } = await open(PART);
    await using _ = bench;
    await bench.renderAll(await bench.jobs.takeTickets(2), 'fail');
    await bench.pass(FLUSH_AFTER_MS);
    const flush = await take(bench);
    const read = await bench.states.unwritten(id, 0);
    // One is replaced and one comes, between being read and having been written.
    await bench.decide(id, { runs: 1 });
    await render(bench, 1);
    const [line] = read;
    expect(await bench.states.flushed(flush, 0, read)).toBe(true);
    expect(read).toHaveLength(2);
    expect(line).toContain('"run":0');
    expect([...(await bench.states.results(id, 0)).values()]).toMatchObject([{ row: 1, run: 1, status: 'succeeded' }]);
    await bench.states.endFlush(flush);
    await expectBatchesInOrder(bench, [id]);
    await bench.pass(FLUSH_AFTER_MS);
    expect((await take(bench)).parts).toEqual([{ part: 0, version: flush.version }]);
  });

  it('are taken over when their worker is lost, and nothing that it still does changes anything', async () => {
    const { bench, id } = await open(2 * PART);
    await using _ = bench;
    await render(bench, 3);
    await bench.pass(FLUSH_AFTER_MS);
    const late = await take(bench);
    const lines = await bench.states.unwritten(id, 0);
    await bench.pass(FLUSH_LEASE_MS);
    expect(await bench.states.renewFlush(late, FLUSH_LEASE_MS)).toBe(false);
    const flush = await take(bench);
    expect(flush.version).toBeGreaterThan(late.version);
    const before = await contents(bench.redis, bench.prefix);
    expect(await bench.states.flushed(late, 0, lines)).toBe(false);
    await bench.states.endFlush(late);
    expect(await bench.states.complete(late, 1)).toBe(false);
    expect(await contents(bench.redis, bench.prefix)).toEqual(before);
    expect(await bench.writeParts(flush)).toBe(true);
  });

  it('stay a worker’s for as long as it renews its lease', async () => {
    const { bench } = await open(2 * PART);
    await using _ = bench;
    await render(bench, 3);
    await bench.pass(FLUSH_AFTER_MS);
    const flush = await take(bench);
    await bench.pass(FLUSH_LEASE_MS - 1000);
    expect(await bench.states.renewFlush(flush, FLUSH_LEASE_MS)).toBe(true);
    await bench.pass(FLUSH_LEASE_MS - 1000);
    expect(await bench.states.takeFlush(FLUSH_LEASE_MS)).toBeUndefined();
    expect(await bench.writeParts(flush)).toBe(true);
  });

  it('have versions that grow, also when Redis’s clock stands still or goes back', async () => {
    const { bench, id } = await open(100);
    await using _ = bench;
    let last = 0;
    for (let i = 0; i < 5; i++) {
      await render(bench, 1);
      await bench.pass(FLUSH_AFTER_MS);
      if (i === 2) {
        // As if all before had been written by a clock an hour ahead.
        last += 3_600_000;
        await bench.redis.hset(`${bench.prefix}batch:${id}`, 'version', last);
      }
      const flush = await take(bench);
      expect(flush.version).toBeGreaterThan(last);
      if (i > 2) expect(flush.version).toBe(last + 1);
      last = flush.version;
      expect(await versionOf(bench, id)).toBe(last);
      expect(await bench.writeParts(flush)).toBe(true);
      await bench.states.endFlush(flush);
    }
  });

  it('have versions above those of a batch that was rebuilt', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const version = Date.now() + 86_400_000;
    const versions = new Map([
      [0, version - 5],
      [2, version],
    ]);
    const id = await bench.open(3 * PART, { progress: { versions } });
    expect(await bench.states.resultVersions(id)).toEqual(versions);
    await render(bench, 1);
    await bench.pass(FLUSH_AFTER_MS);
    const flush = await take(bench);
    expect(flush.version).toBe(version + 1);
    expect(flush.parts).toEqual([{ part: 0, version: version - 5 }]);
  });

  it('of thousands of parts may be there when a batch is opened', async () => {
    await using bench = await openBatchBench();
    const versions = new Map(Array.from({ length: 6000 }, (_, part) => [part, part + 1]));
    const id = await bench.open(10, { progress: { versions } });
    expect(await bench.states.resultVersions(id)).toEqual(versions);
  });
});

describe('a batch ends', () => {
  it('only by the worker whose it is, with all its results written', async () => {
    const { bench, id } = await open(PART + 1);
    await using _ = bench;
    await render(bench, PART);
    await bench.pass(FLUSH_AFTER_MS);
    const early = await take(bench);
    await bench.writeParts(early);
    expect(await bench.states.complete(early, 1)).toBe(false);
    await render(bench, 1);
    // Its lines were not among those that were written.
    expect(early.ending).toBe(false);
    expect(await bench.states.complete(early, 1)).toBe(false);
    await bench.states.endFlush(early);
    const flush = await take(bench);
    expect(flush).toMatchObject({ status: 'finishing', ending: true });
    expect(await bench.states.complete(flush, 1)).toBe(false);
    expect(await bench.writeParts(flush)).toBe(true);
    expect(await bench.states.complete(flush, 12_345)).toBe(true);
    expect(await bench.state(id)).toMatchObject({ status: 'completed', endedAt: 12_345 });
    expect(await bench.states.complete(flush, 1)).toBe(false);
    await bench.states.endFlush(flush);
    expect(await bench.states.takeFlush(FLUSH_LEASE_MS)).toBeUndefined();
  });

  it('at once when its last row has ended, and is tried again when that could not be written', async () => {
    const { bench } = await open(1);
    await using _ = bench;
    await render(bench, 1);
    const flush = await take(bench);
    expect(flush.ending).toBe(true);
    await bench.states.endFlush(flush);
    expect((await take(bench)).version).toBeGreaterThan(flush.version);
  });

  it('as canceled not before its last call in flight has', async () => {
    const { bench, id } = await open(3);
    await using _ = bench;
    const [ticket, second] = await bench.jobs.takeTickets(2);
    if (ticket === undefined || second === undefined) throw new Error('few tickets');
    const [call, other] = [await bench.begin(ticket), await bench.begin(second)];
    await bench.decide(id, { status: 'canceled' });
    expect(await bench.states.takeFlush(FLUSH_LEASE_MS)).toBeUndefined();
    await bench.endRow(other);
    await bench.pass(FLUSH_AFTER_MS);
    const early = await take(bench);
    expect(early).toMatchObject({ status: 'canceling', ending: false, parts: [{ part: 0 }] });
    await bench.writeParts(early);
    expect(await bench.states.complete(early, 1)).toBe(false);
    await bench.states.endFlush(early);
    await bench.endRow(call);
    const flush = await take(bench);
    expect(flush).toMatchObject({ status: 'canceling', ending: true });
    await bench.writeParts(flush);
    expect(await bench.states.complete(flush, 1)).toBe(true);
    expect(await bench.state(id)).toMatchObject({ status: 'canceled', succeeded: 2, canceled: 1 });
  });
});
