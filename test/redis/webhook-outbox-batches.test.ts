import { rowJobId } from '@renderyard/shared/batch/row';
import type { EventType } from '@renderyard/shared/webhook/event-type';
import { describe, expect, it } from 'vitest';
import { bitsOf, FLUSH_LEASE_MS } from './batch-bench.ts';
import { COST } from './bench.ts';
import { allKeys } from './keys.ts';
import { openWebhookBatchBench } from './webhook-bench.ts';

type Bench = Awaited<ReturnType<typeof openWebhookBatchBench>>;
const OWN = 'https://own.example/batch';
const PROGRESS_MS = 10_000;

async function openBench() {
  const bench = await openWebhookBatchBench();
  await bench.balance(1000 * COST);
  return bench;
}

/** Ends the next rows, one after the other. */
async function end(bench: Bench, count: number, how: 'succeed' | 'fail' = 'succeed'): Promise<void> {
  await bench.renderAll(await bench.jobs.takeTickets(count), how);
}

/** Writes what there is to be written, to the batch's end where it is due. */
async function flushAll(bench: Bench): Promise<void> {
  await bench.pass(20_000);
  while (await bench.flush()) {
    // Until nothing is due.
  }
}

const hold = (since: number) => ({ reason: 'batch_paused', since, detail: 'Paused.' }) as const;

describe('rows of a batch', () => {
  it.each([
    ['nobody, where its filter is not set', undefined, OWN, []],
    ['nobody, where its filter names other types', ['job.expired', 'batch.completed'], OWN, []],
    ['those who hear of what its filter names', ['job.failed'], OWN, ['job.failed']],
    ['all, where its filter names both', ['job.failed', 'job.succeeded'], OWN, ['job.succeeded', 'job.failed']],
    ['endpoints alone, where it has no webhook of its own', ['job.succeeded'], undefined, ['job.succeeded']],
  ] as const)('are told of to %s', async (_, filter, webhook, told) => {
    await using bench = await openBench();
    const all = await bench.endpoint();
    const failed = await bench.endpoint({ events: ['job.failed'] });
    await bench.endpoint({ events: ['batch.completed'] });
    await bench.endpoint({}, 'somebody');
    const id = await bench.open(100, {
      decision: { ...(webhook && { webhook }), ...(filter && { webhook_events: filter as readonly EventType[] }) },
    });
    await end(bench, 1);
    await end(bench, 1, 'fail');
    const events = await bench.outbox();
    expect(events.map(({ type }) => type)).toEqual(told);
    const lines = await bench.results(id);
    for (const event of events) {
      const row = event.type === 'job.succeeded' ? 1 : 2;
      const to = [...(webhook ? [{ url: webhook }] : []), { webhook: all }];
      expect(event.to).toHaveLength(row === 1 ? to.length : to.length + 1);
      expect(event.to).toEqual(expect.arrayContaining(row === 1 ? to : [...to, { webhook: failed }]));
      expect(event).toMatchObject({ account: 'acme', job_id: rowJobId(id, row), batch_id: id });
      expect(event.row?.row).toBe(row);
      expect(JSON.parse(event.row?.line ?? '')).toEqual(lines.get(row));
    }
  });

  it('are told of once, however often their end is recorded', async () => {
    await using bench = await openBench();
    await bench.open(10, { decision: { webhook: OWN, webhook_events: ['job.succeeded', 'job.failed'] } });
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    const call = await bench.begin(ticket);
    for (let i = 0; i < 3; i++) await bench.endRow(call);
    await bench.failRow(call);
    expect(await bench.told()).toEqual(['job.succeeded']);
  });

  it('have an id for each run of their batch, which is the same where a Redis was emptied', async () => {
    await using bench = await openBench();
    const id = await bench.open(10, { decision: { webhook: OWN, webhook_events: ['job.failed'] } });
    await end(bench, 1, 'fail');
    const [first] = await bench.outbox();
    await bench.decide(id, { runs: 1 });
    await end(bench, 1, 'fail');
    const ids = (await bench.outbox()).map((event) => event.id);
    expect(new Set(ids).size).toBe(2);
    // Its results had not been written: the row is rendered again.
    const keys = await allKeys(bench.redis, bench.prefix);
    await bench.redis.del(...keys.filter((key) => !key.endsWith(':generation') && !key.endsWith(':credits')));
    await bench.redis.hset(`${bench.prefix}ratios`, 'model-a', 1_000_000);
    await bench.reopen(id);
    await end(bench, 1, 'fail');
    const [again] = await bench.outbox();
    expect(again?.id).toBe(ids[1]);
    expect(again?.id).not.toBe(first?.id);
  });
});

describe('the progress of a batch', () => {
  const events = { webhook: OWN, webhook_events: ['batch.progress'] } as const;

  it('is told when 5 percent more have ended and 10 seconds have passed', async () => {
    await using bench = await openBench();
    const id = await bench.open(100, { decision: events });
    await end(bench, 4);
    expect(await bench.told()).toEqual([]);
    await end(bench, 1, 'fail');
    expect(await bench.told()).toEqual(['batch.progress']);
    // 5 percent more, too soon; then late enough, with the next row.
    await end(bench, 6);
    expect((await bench.told()).length).toBe(1);
    await bench.pass(PROGRESS_MS);
    expect((await bench.told()).length).toBe(1);
    await end(bench, 1);
    expect((await bench.told()).length).toBe(2);
    // Late enough, and fewer than 5 percent more: 12 told of, the next step is 15.
    await bench.pass(10 * PROGRESS_MS);
    await end(bench, 2);
    expect((await bench.told()).length).toBe(2);
    await end(bench, 1);
    const told = await bench.outbox();
    expect(told.map(({ batch }) => Number(batch?.succeeded) + Number(batch?.failed))).toEqual([5, 12, 15]);
    expect(new Set(told.map((event) => event.id)).size).toBe(3);
    expect(told[0]).toMatchObject({ batch_id: id, to: [{ url: OWN }], batch: { id, total: '100' } });
  });

  it('is told 10 seconds after it was made at the earliest', async () => {
    await using bench = await openBench();
    const id = await bench.open(20, { decision: events });
    await bench.redis.hset(`${bench.prefix}batch:${id}`, 'created_at', Date.now());
    await end(bench, 3);
    expect(await bench.told()).toEqual([]);
    await bench.redis.hset(`${bench.prefix}batch:${id}`, 'created_at', Date.now() - PROGRESS_MS);
    await end(bench, 1);
    expect((await bench.told()).length).toBe(1);
  });

  it('is told 19 times in a run at most, and not at its end', async () => {
    await using bench = await openBench();
    await bench.open(60, { decision: events });
    for (let row = 1; row <= 60; row++) {
      await bench.pass(PROGRESS_MS);
      await end(bench, 1);
    }
    expect((await bench.told()).length).toBe(19);
  });

  it('begins anew with a retry, under other ids', async () => {
    await using bench = await openBench();
    const id = await bench.open(20, { decision: events });
    await end(bench, 2);
    await end(bench, 2, 'fail');
    await bench.pass(PROGRESS_MS);
    await end(bench, 1, 'fail');
    await bench.decide(id, { runs: 1 });
    await bench.pass(PROGRESS_MS);
    await end(bench, 3, 'fail');
    const told = await bench.outbox();
    expect(told.map(({ batch }) => [batch?.runs, Number(batch?.succeeded) + Number(batch?.failed)])).toEqual([
      ['0', 1],
      ['0', 5],
      ['1', 3],
    ]);
    expect(new Set(told.map((event) => event.id)).size).toBe(3);
  });
});

describe('a pause', () => {
  const decision = { webhook: OWN, webhook_events: ['batch.paused'] as const };

  it('by hand is told once, each time', async () => {
    await using bench = await openBench();
    const endpoint = await bench.endpoint({ events: ['batch.paused'] });
    const id = await bench.open(10, { decision });
    await bench.decide(id, { status: 'paused', hold: hold(5) });
    const [event, ...more] = await bench.outbox();
    expect(more).toEqual([]);
    expect(event).toMatchObject({ type: 'batch.paused', to: [{ url: OWN }, { webhook: endpoint }], batch_id: id });
    expect(event?.batch).toMatchObject({ status: 'paused', hold: expect.stringContaining('batch_paused') as string });
    // The same decision again, another name, and an older decision.
    await bench.states.decide(id, bench.decision(id));
    await bench.decide(id, { status: 'paused', hold: hold(5), name: 'other' });
    await bench.states.decide(id, { ...bench.decision(id), seq: 1, status: 'running' });
    expect(await bench.told()).toEqual(['batch.paused']);
    await bench.decide(id, { status: 'running' });
    await bench.decide(id, { status: 'paused', hold: hold(6) });
    const [first, second] = await bench.outbox();
    expect(second?.type).toBe('batch.paused');
    expect(second?.id).not.toBe(first?.id);
  });

  it('since all rows fail is told once, also when the store is told of it', async () => {
    await using bench = await openBench();
    const id = await bench.open(100, { decision });
    await end(bench, 19, 'fail');
    expect(await bench.told()).toEqual([]);
    const tickets = await bench.jobs.takeTickets(3);
    const calls = [];
    for (const ticket of tickets) calls.push(await bench.begin(ticket));
    for (const call of calls) await bench.failRow(call);
    expect(await bench.told()).toEqual(['batch.paused']);
    const state = await bench.state(id);
    await bench.decide(id, { status: 'paused', ...(state.hold && { hold: state.hold }) });
    await flushAll(bench);
    expect(await bench.told()).toEqual(['batch.paused']);
    expect((await bench.outbox())[0]?.batch?.hold).toContain('batch_failing');
  });

  it('since its budget is spent is told once, however many ask', async () => {
    await using bench = await openBench();
    const id = await bench.open(10, { decision: { ...decision, budget: COST } });
    const tickets = await bench.jobs.takeTickets(5);
    await bench.renderAll(tickets.slice(0, 1));
    for (const { job } of tickets.slice(1)) await bench.ask(job);
    expect((await bench.state(id)).hold?.reason).toBe('batch_budget');
    expect(await bench.told()).toEqual(['batch.paused']);
    await bench.decide(id, { status: 'running', budget: COST });
    const [ticket] = await bench.jobs.takeTickets(1);
    await bench.ask(ticket?.job ?? '');
    const [first, second] = await bench.outbox();
    expect(second?.id).not.toBe(first?.id);
  });

  it('is not told again when the batch is opened in an emptied Redis', async () => {
    await using bench = await openBench();
    await bench.endpoint();
    const id = await bench.open(10, { decision });
    await bench.decide(id, { status: 'paused', hold: hold(5) });
    const keys = await allKeys(bench.redis, bench.prefix);
    await bench.redis.del(...keys.filter((key) => !key.endsWith(':generation')));
    await bench.endpoint();
    expect(await bench.reopen(id, { succeeded: bitsOf(1), cursor: 1 })).toBe(true);
    expect((await bench.state(id)).status).toBe('paused');
    await bench.decide(id, { status: 'paused', hold: hold(5), name: 'other' });
    expect(await bench.outbox()).toEqual([]);
  });
});

describe('the end of a batch', () => {
  it('is told once, with what it came to, and again after a retry', async () => {
    await using bench = await openBench();
    const endpoint = await bench.endpoint({ events: ['batch.completed', 'batch.canceled'] });
    const id = await bench.open(3, { decision: { webhook: OWN } });
    await end(bench, 2);
    await end(bench, 1, 'fail');
    // All rows have ended, and are not in the store yet.
    expect((await bench.told()).filter((type) => type !== 'batch.progress')).toEqual([]);
    await bench.redis.del(`${bench.prefix}outbox`);
    const flush = await bench.states.takeFlush(FLUSH_LEASE_MS);
    if (flush === undefined) throw new Error('nothing is due');
    await bench.writeParts(flush);
    expect(await bench.states.complete(flush, 12_345)).toBe(true);
    expect(await bench.states.complete(flush, 12_345)).toBe(false);
    const [event, ...more] = await bench.outbox();
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      type: 'batch.completed',
      account: 'acme',
      batch_id: id,
      to: [{ url: OWN }, { webhook: endpoint }],
      batch: { status: 'completed', succeeded: '2', failed: '1', ended_at: '12345', cost: String(2 * COST) },
    });
    bench.next(id, { runs: 1 });
    await bench.reopen(id, {
      succeeded: bitsOf(1, 2),
      again: bitsOf(3),
      cursor: 3,
      counts: { succeeded: 2, failed: 0 },
    });
    await end(bench, 1);
    await flushAll(bench);
    const completed = (await bench.outbox()).filter(({ type }) => type === 'batch.completed');
    expect(completed.map(({ batch }) => batch?.runs)).toEqual(['0', '1']);
    expect(new Set(completed.map((each) => each.id)).size).toBe(2);
  });

  it('by a cancel is told once its calls have ended', async () => {
    await using bench = await openBench();
    const id = await bench.open(10, { decision: { webhook: OWN, webhook_events: ['batch.canceled', 'job.canceled'] } });
    await end(bench, 2);
    const [ticket] = await bench.jobs.takeTickets(1);
    if (ticket === undefined) throw new Error('no ticket');
    const call = await bench.begin(ticket);
    await bench.decide(id, { status: 'canceled' });
    await flushAll(bench);
    expect(await bench.told()).toEqual([]);
    await bench.endRow(call);
    await flushAll(bench);
    const [event, rows, ...more] = await bench.outbox();
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      type: 'batch.canceled',
      batch: { status: 'canceled', succeeded: '3', canceled: '7' },
    });
    // Its rows, which the store is to tell of, in one entry.
    expect(rows).toMatchObject({ type: 'job.canceled', batch_id: id, rows: true, to: [{ url: OWN }] });
  });

  it.each([
    ['nobody, where nobody asked', undefined, []],
    ['nobody, where its filter names others', ['job.failed'], []],
    ['its own webhook, where that names it', ['batch.completed'], ['batch.completed']],
  ] as const)('is told to %s', async (_, filter, told) => {
    await using bench = await openBench();
    await bench.endpoint({ events: ['job.succeeded', 'batch.canceled'] });
    await bench.open(2, { decision: filter ? { webhook: OWN, webhook_events: filter } : {} });
    await end(bench, 2);
    await flushAll(bench);
    expect(await bench.told()).toEqual(told);
    // Who watches sees it all the same.
    expect((await bench.shown()).at(-1)).toBe('batch.completed');
  });
});
