import { rowJobId } from '@renderyard/shared/batch/row';
import { describe, expect, it } from 'vitest';
import { type BatchBench, bitsOf, ERROR, FLUSH_AFTER_MS, openBatchBench, rowsIn } from './batch-bench.ts';
import { expectBatchesInOrder } from './batch-order.ts';
import { COST, TRIAL_MS } from './bench.ts';
import { allKeys } from './keys.ts';

const IMAGE = { key: 'k.png', content_type: 'image/png', bytes: 1, width: 1, height: 1, sha256: '00', seed: 7 };

async function keysOf(bench: BatchBench): Promise<readonly string[]> {
  return (await allKeys(bench.redis, bench.prefix)).map((key) => key.slice(bench.prefix.length));
}

describe('a batch', () => {
  it('is fed in the order of its rows, and each row once', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(7);
    const first = await bench.jobs.takeTickets(3);
    expect(bench.rowsOf(first, id)).toEqual([1, 2, 3]);
    expect(await bench.jobs.takeTickets(3)).toEqual([]);
    expect(bench.rowsOf(await bench.jobs.takeTickets(100), id)).toEqual([4, 5, 6, 7]);
    expect(await bench.jobs.takeTickets(100)).toEqual([]);
    await expectBatchesInOrder(bench, [id]);
  });

  it('tells at every step how many of its rows are where', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(4, { decision: { name: 'n', metadata: { a: 1 } } });
    const counts = async () => {
      await expectBatchesInOrder(bench, [id]);
      const { status, processing, succeeded, failed, cost, reserved } = await bench.state(id);
      return [status, processing, succeeded, failed, cost / COST, reserved / COST];
    };
    expect(await bench.state(id)).toMatchObject({ name: 'n', metadata: { a: 1 }, startedAt: undefined, latest: [] });
    const [one, two, three, four] = await bench.jobs.takeTickets(10);
    if (one === undefined || two === undefined || three === undefined || four === undefined)
      throw new Error('few tickets');
    expect(await counts()).toEqual(['running', 0, 0, 0, 0, 0]);
    const first = await bench.begin(one);
    const second = await bench.begin(two);
    expect(await counts()).toEqual(['running', 2, 0, 0, 0, 2]);
    expect(await bench.states.processing(id)).toEqual([1, 2]);
    await bench.endRow(first, { output: [IMAGE] });
    expect(await counts()).toEqual(['running', 1, 1, 0, 1, 1]);
    await bench.endRow(second, {
      status: 'queued',
      settlement: { kind: 'uncertain', how: 'cut' },
      uncertain: 'limited',
    });
    expect(await counts()).toEqual(['running', 0, 1, 0, 2, 0]);
    await bench.failRow(await bench.begin(two));
    expect(await counts()).toEqual(['running', 0, 1, 1, 2, 0]);
    await bench.renderAll([three, four]);
    expect(await counts()).toEqual(['finishing', 0, 3, 1, 4, 0]);
    expect((await bench.state(id)).latest).toHaveLength(4);

    const results = await bench.results(id);
    expect(results.get(1)).toMatchObject({
      row: 1,
      run: 0,
      status: 'succeeded',
      output: [IMAGE],
      attempts: 1,
      uncertain: 0,
      cost: COST,
    });
    expect(results.get(2)).toMatchObject({ status: 'failed', error: ERROR, attempts: 2, uncertain: 1, cost: COST });
    expect(results.get(2)?.output).toBeUndefined();
    const { started_at: startedAt, ended_at: endedAt } = results.get(2) ?? {};
    expect(startedAt).toBeGreaterThan(Date.now() - 60_000);
    expect(endedAt).toBeGreaterThanOrEqual(startedAt ?? Infinity);
  });

  it('leaves nothing behind when it has ended, but what it came to', async () => {
    await using bench = await openBatchBench();
    await bench.balance(1000 * COST);
    const before = new Set(await keysOf(bench));
    const id = await bench.open(30);
    await bench.runDry(7);
    expect(await bench.state(id)).toMatchObject({
      status: 'completed',
      succeeded: 30,
      failed: 0,
      cost: 30 * COST,
      reserved: 0,
      latest: [],
    });
    expect((await bench.state(id)).endedAt).toBeGreaterThan(0);
    expect([...(bench.written.get(id)?.keys() ?? [])].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 30 }, (_, i) => i + 1),
    );
    const ledger = /^(live|credits|pace|estimates|costs|classes|successes|hours|books:\d+|unnoted-days|keys|key:acme)$/;
    const left = (await keysOf(bench)).filter((key) => !before.has(key) && !ledger.test(key));
    expect(left.sort()).toEqual([`batch:${id}`, 'batches:acme', 'rate', 'served', 'tickets'].sort());
    expect(await bench.redis.pttl(`${bench.prefix}batch:${id}`)).toBeGreaterThan(0);
    expect(await bench.states.forget('acme', id)).toBe(true);
    expect(await bench.states.list('acme', { limit: 10 })).toEqual([]);
    expect((await keysOf(bench)).filter((key) => key.includes(id))).toEqual([]);
  });

  it('may be opened twice, and is one', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(3);
    await bench.jobs.takeTickets(2);
    expect(await bench.reopen(id)).toBe(false);
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), id)).toEqual([3]);
    await expectBatchesInOrder(bench, [id]);
  });

  it('is not forgotten before it has ended', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(3);
    expect(await bench.states.forget('acme', id)).toBe(false);
    expect(await bench.states.get(id)).toBeDefined();
  });

  it('is listed with the others of its account, the newest first', async () => {
    await using bench = await openBatchBench();
    const ids = [await bench.open(1), await bench.open(1), await bench.open(1)].reverse();
    await bench.open(1, { account: 'other' });
    expect(await bench.states.list('acme', { limit: 10 })).toEqual(ids);
    expect(await bench.states.list('acme', { limit: 1, after: ids[0] })).toEqual([ids[1]]);
  });

  it('that goes on from a rebuild feeds what is due and nothing else', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(12, {
      progress: {
        succeeded: bitsOf(1, 9),
        failed: bitsOf(3),
        again: bitsOf(2, 4, 8),
        cursor: 9,
        counts: { succeeded: 2, failed: 1 },
        cost: 5,
        uncertain: 1,
        startedAt: 3,
      },
    });
    // Rows 5 to 7 would be nowhere; a rebuild leaves none out, and so does this one.
    await bench.redis.setbit(`${bench.prefix}bits:${id}:ok`, 4, 1);
    await bench.redis.setbit(`${bench.prefix}bits:${id}:ok`, 5, 1);
    await bench.redis.setbit(`${bench.prefix}bits:${id}:ok`, 6, 1);
    await bench.redis.hset(`${bench.prefix}batch:${id}`, 'succeeded', 5);
    await expectBatchesInOrder(bench, [id]);
    expect(bench.rowsOf(await bench.jobs.takeTickets(100), id)).toEqual([2, 4, 8, 10, 11, 12]);
    expect(await bench.state(id)).toMatchObject({ cost: 5, uncertain: 1, startedAt: 3 });
  });

  it('whose rows had all ended when it was rebuilt is written to its end', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(2, {
      progress: { succeeded: bitsOf(1), failed: bitsOf(2), cursor: 2, counts: { succeeded: 1, failed: 1 } },
    });
    expect((await bench.state(id)).status).toBe('finishing');
    expect(await bench.flush()).toBe(true);
    expect((await bench.state(id)).status).toBe('completed');
  });
});

describe('a row', () => {
  it('keeps its place among those with tickets until it ends, also between attempts', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(3);
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    await bench.endRow(await bench.begin(ticket), { status: 'queued', settlement: { kind: 'released' } });
    await expectBatchesInOrder(bench, [id]);
    expect(await bench.jobs.takeTickets(1)).toEqual([]);
    expect(await bench.claim(ticket)).toBe('yours');
    await bench.renderAll([ticket]);
    expect(bench.rowsOf(await bench.jobs.takeTickets(1), id)).toEqual([2]);
    expect((await bench.results(id)).get(1)).toMatchObject({ attempts: 2 });
  });

  it('ends once, whatever is recorded of it and however often', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(30);
    const tickets = await bench.jobs.takeTickets(30);
    const others = await Promise.all(Array.from({ length: 3 }, () => bench.connect()));
    const record = async (ticket: (typeof tickets)[number], index: number) => {
      const call = await bench.begin(ticket);
      const row = await bench.rowEnd(ticket.job);
      const ends = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          (others[i % 3] ?? bench).jobs.record(
            {
              job: ticket.job,
              row,
              call: { id: call.id, settlement: index % 2 === 0 ? { kind: 'spent', cost: COST } : { kind: 'released' } },
              ...(index % 2 === 0 ? { status: 'succeeded' as const } : { status: 'failed' as const, error: ERROR }),
            },
            TRIAL_MS,
          ),
        ),
      );
      expect(ends.filter(({ late }) => !late)).toHaveLength(1);
    };
    for (const [index, ticket] of tickets.entries()) await record(ticket, index);
    expect(await bench.state(id)).toMatchObject({
      succeeded: 15,
      failed: 15,
      processing: 0,
      cost: 15 * COST,
      reserved: 0,
    });
    expect(await rowsIn(bench, id, 'ok')).toHaveLength(15);
    expect(await bench.books()).toMatchObject({ reserved: 0, spent: 15 * COST });
    await expectBatchesInOrder(bench, [id]);
    await bench.pass(FLUSH_AFTER_MS);
    while (await bench.flush());
    expect(bench.written.get(id)?.size).toBe(30);
  });

  it('asks for a call once, though its ticket is run by several', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    const others = await Promise.all(Array.from({ length: 4 }, () => bench.connect()));
    const claims = await Promise.all(others.map(({ jobs }) => jobs.claim(ticket, TRIAL_MS)));
    expect(claims.map(({ verdict }) => verdict)).toEqual(['yours', 'yours', 'yours', 'yours']);
    const verdicts = await Promise.all(others.map((_, i) => bench.ask(ticket.job, { call: `call-${i}` })));
    expect(verdicts.map(({ verdict }) => verdict).sort()).toEqual(['go', 'gone', 'gone', 'gone']);
    await expectBatchesInOrder(bench, [id]);
  });

  it('whose model is held waits in its batch, and keeps no place from others', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const held = await bench.open(5, { model: 'model-b' });
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    await bench.ledger.setHold('model:model-b', 'why');
    expect(await bench.ask(ticket.job, { model: 'model-b' })).toMatchObject({ verdict: 'hold' });
    expect(await bench.jobs.record({ job: ticket.job, row: { part: 0 }, status: 'parked' }, TRIAL_MS)).toMatchObject({
      status: 'parked',
    });
    await expectBatchesInOrder(bench, [held]);
    const other = await bench.open(3);
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), other)).toEqual([1, 2, 3]);
    await bench.ledger.releaseHold('model:model-b');
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), held)).toEqual([1, 2, 3, 4, 5]);
    expect(await bench.claim(ticket)).toBe('void');
    await expectBatchesInOrder(bench, [held, other]);
  });

  it('that is given back has its batch fed again, also where all its rows had been fed', async () => {
    await using bench = await openBatchBench();
    const id = await bench.open(1);
    const [ticket] = await bench.jobs.takeTickets(10);
    if (ticket === undefined) throw new Error('no ticket');
    expect(await bench.redis.exists(`${bench.prefix}feeding`)).toBe(0);
    await bench.jobs.record({ job: ticket.job, row: { part: 0 }, status: 'parked' }, TRIAL_MS);
    expect(bench.rowsOf(await bench.jobs.takeTickets(10), id)).toEqual([1]);
  });

  it('is found by its id, and is gone when it has ended', async () => {
    await using bench = await openBatchBench();
    await bench.balance(100 * COST);
    const id = await bench.open(1);
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    expect(await bench.jobs.get(rowJobId(id, 1))).toMatchObject({
      batch: id,
      row: 1,
      run: 0,
      status: 'queued',
      account: 'acme',
      input: {},
    });
    await bench.renderAll([ticket]);
    expect(await bench.jobs.get(rowJobId(id, 1))).toBeUndefined();
    expect(await bench.claim(ticket)).toBe('void');
  });
});
