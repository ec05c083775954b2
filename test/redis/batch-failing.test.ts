import type { JobError } from '@renderyard/shared/job/job';
import { describe, expect, it } from 'vitest';
import { type BatchBench, openBatchBench } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST } from './bench.ts';

const OTHER: JobError = { code: 'bad_image', detail: 'It is none.' };

/** Fails so many rows, one after the other. */
async function fail(bench: BatchBench, count: number, error?: JobError): Promise<void> {
  for (let i = 0; i < count; i++) {
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error(`only ${i} rows could be failed`);
    await bench.failRow(await bench.begin(ticket), error);
  }
}

async function open(rows: number) {
  const bench = await openBatchBench();
  await bench.balance(1000 * COST);
  return { bench, id: await bench.open(rows) };
}

describe('a batch whose first rows all fail alike', () => {
  it('stops after 20, says why, and is written soon', async () => {
    const { bench, id } = await open(100);
    await using _ = bench;
    await fail(bench, 19);
    expect((await bench.state(id)).status).toBe('running');
    await fail(bench, 1);
    const { status, hold } = await bench.state(id);
    expect(status).toBe('paused');
    expect(hold?.reason).toBe('batch_failing');
    expect(hold?.detail).toContain('The first 20 rows all failed with upstream_rejected');
    expect(hold?.since).toBeGreaterThan(Date.now() - 60_000);
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
    expect(await bench.states.takeFlush(1000)).toMatchObject({ batch: id, ending: false });
    await expectBatchesInOrder(bench, [id]);
  });

  it('goes on when it is resumed, and does not stop again', async () => {
    const { bench, id } = await open(100);
    await using _ = bench;
    await fail(bench, 20);
    await bench.decide(id, { status: 'running' });
    await fail(bench, 60);
    expect(await bench.state(id)).toMatchObject({ status: 'running', failed: 80 });
  });

  it('stops again when they fail alike after a retry', async () => {
    const { bench, id } = await open(100);
    await using _ = bench;
    await fail(bench, 20);
    await bench.decide(id, { status: 'running', runs: 1 });
    await fail(bench, 19);
    expect((await bench.state(id)).status).toBe('running');
    await fail(bench, 1);
    expect((await bench.state(id)).hold?.reason).toBe('batch_failing');
  });

  it('lets calls in flight end', async () => {
    const { bench, id } = await open(100);
    await using _ = bench;
    await fail(bench, 19);
    const tickets = await bench.jobs.takeTickets(3);
    const calls = await Promise.all(tickets.map((ticket) => bench.begin(ticket)));
    for (const call of calls) await bench.failRow(call);
    expect(await bench.state(id)).toMatchObject({ status: 'paused', failed: 22, processing: 0 });
    await expectBatchesInOrder(bench, [id]);
  });
});

describe('a batch goes on', () => {
  it.each([1, 20])('when row %i fails with another code', async (position) => {
    const { bench, id } = await open(100);
    await using _ = bench;
    await fail(bench, position - 1);
    await fail(bench, 1, OTHER);
    await fail(bench, 40);
    expect(await bench.state(id)).toMatchObject({ status: 'running', failed: 40 + position });
  });

  it.each([0, 19])('when a row succeeds after %i have failed', async (failures) => {
    const { bench, id } = await open(100);
    await using _ = bench;
    await fail(bench, failures);
    await bench.renderAll(await bench.jobs.takeTickets(1));
    await fail(bench, 40);
    expect((await bench.state(id)).status).toBe('running');
  });

  it('to its end when it has no more than 20 rows', async () => {
    const { bench, id } = await open(20);
    await using _ = bench;
    await fail(bench, 20);
    expect(await bench.state(id)).toMatchObject({ status: 'finishing', hold: undefined, failed: 20 });
  });

  it('only when it is resumed, where somebody paused it as the 20th failed', async () => {
    const { bench, id } = await open(100);
    await using _ = bench;
    await fail(bench, 19);
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    const call = await bench.begin(ticket);
    await bench.decide(id, { status: 'paused' });
    await bench.failRow(call);
    expect((await bench.state(id)).hold?.reason).toBe('batch_paused');
  });
});
