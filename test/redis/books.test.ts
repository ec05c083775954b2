import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { beforeEach, describe, expect, it } from 'vitest';
import { adoptedCall, type BatchBench, openBatchBench } from './batch-bench.ts';
import { COST, TRIAL_MS } from './bench.ts';
import { awayFromHourEnd } from './time.ts';

beforeEach(awayFromHourEnd);

const HOUR_MS = 3_600_000;
const UNCERTAIN = { status: 'queued', settlement: { kind: 'uncertain', how: 'timeout' } } as const;
const spent = (cost: number) => ({ settlement: { kind: 'spent', cost } }) as const;
const IMAGE = { key: 'images/a.png', bytes: 1, sha256: '', media_type: 'image/png', width: 1, height: 1 };

async function openBooks() {
  const bench = await openBatchBench();
  await bench.balance(10_000 * COST);
  return bench;
}
const hourNow = () => Math.floor(Date.now() / HOUR_MS);
/** All books, as `account batch: credits images`, with `hours` ago where that is not now. */
async function booked(bench: Pick<BatchBench, 'ledger'>) {
  const now = hourNow();
  const entries = await bench.ledger.books({ fromHour: 0, toHour: now + 1 });
  return entries.map(({ hour, account, batch, credits, images }) =>
    [...(hour === now ? [] : [`${now - hour} h ago`]), account, ...(batch ? [batch] : []), credits / COST, images].join(
      ' ',
    ),
  );
}

describe('the books', () => {
  it('have what was spent and rendered by key, by batch and by hour', async () => {
    await using bench = await openBooks();
    const batch = await bench.open(2);
    await bench.renderAll(await bench.jobs.takeTickets(2));
    await bench.end(await bench.call(), spent(3 * COST));
    const other = await bench.job({ account: 'other' });
    await bench.end(await bench.call({ job: other }), { status: 'failed', ...spent(COST) });
    expect(await booked(bench)).toEqual([`acme ${batch} 2 2`, 'acme 3 1', 'other 1 0']);
    await bench.pass(2 * HOUR_MS);
    await bench.end(await bench.call());
    expect(await booked(bench)).toEqual([
      `2 h ago acme ${batch} 2 2`,
      '2 h ago acme 3 1',
      '2 h ago other 1 0',
      'acme 1 1',
    ]);
    const now = hourNow();
    const hours = async (fromHour: number, toHour: number) =>
      (await bench.ledger.books({ fromHour, toHour })).map(({ hour }) => now - hour);
    expect([await hours(now - 2, now - 1), await hours(now - 1, now), await hours(now, now + 1)]).toEqual([
      [2, 2, 2],
      [],
      [0],
    ]);
  });

  it('do not have what cost nothing and brought nothing', async () => {
    await using bench = await openBooks();
    await bench.end(await bench.call(), { status: 'queued', settlement: { kind: 'released' } });
    await bench.end(await bench.call(), { status: 'queued', ...spent(0) });
    expect(await booked(bench)).toEqual([]);
    await bench.end(await bench.call(), spent(0));
    expect(await booked(bench)).toEqual(['acme 0 1']);
  });

  it('are corrected where it is told what an uncertain call has cost, in the hour when it is', async () => {
    await using bench = await openBooks();
    const [dearer, nothing, same] = [await bench.call(), await bench.call(), await bench.call()];
    for (const call of [dearer, nothing, same]) await bench.end(call, UNCERTAIN);
    expect(await booked(bench)).toEqual(['acme 3 0']);
    await bench.pass(HOUR_MS);
    await bench.end(dearer, spent(1.5 * COST));
    await bench.end(nothing, { status: 'queued', settlement: { kind: 'released' } });
    await bench.end(same, spent(COST));
    expect(await booked(bench)).toEqual(['1 h ago acme 3 0', 'acme -0.5 2']);
    for (const call of [dearer, same]) await bench.end(call, spent(2 * COST));
    for (const call of [dearer, nothing, same]) await bench.end(call, UNCERTAIN);
    expect(await booked(bench)).toEqual(['1 h ago acme 3 0', 'acme -0.5 2']);
    expect((await bench.books()).keys.get('acme')?.total).toBe(2.5 * COST);
  });

  it('count an image once, whichever way it came', async () => {
    await using bench = await openBooks();
    // It was found in the store, after a call whose end nobody knows.
    const found = await bench.call();
    await bench.end(found, UNCERTAIN);
    for (let i = 0; i < 2; i++) await bench.jobs.record({ job: found.job, status: 'succeeded', output: [] }, TRIAL_MS);
    expect(await booked(bench)).toEqual(['acme 1 1']);
    // It came when its job was given up, which then is retried.
    const late = await bench.call();
    await bench.end(late, { ...UNCERTAIN, status: 'failed' });
    const end = { ...spent(COST), output: [IMAGE] } as unknown as Parameters<typeof bench.end>[1];
    for (let i = 0; i < 2; i++) expect(await bench.end(late, end)).toMatchObject({ late: true });
    expect(await bench.jobs.retry(late.job, 10)).toBe('succeeded');
    expect(await booked(bench)).toEqual(['acme 2 2']);
    // A cancel came in while it was rendered.
    const canceled = await bench.call();
    await bench.jobs.cancel(canceled.job);
    await bench.end(canceled);
    await bench.end(canceled);
    expect(await booked(bench)).toEqual(['acme 3 3']);
  });

  it('have the end of a call of a row that a Redis before this one had granted, once', async () => {
    await using bench = await openBooks();
    const batch = await bench.open(1);
    const call = { id: 'call-old', job: `job_${batch.slice(4)}_1` };
    for (let i = 0; i < 2; i++) await bench.endRow(call, { adopt: adoptedCall(), ...spent(COST) });
    expect(await booked(bench)).toEqual([`acme ${batch} 1 1`]);
    expect((await bench.books()).keys.get('acme')).toMatchObject({ total: COST, reserved: 0 });
  });

  it('of an upstream are gone with it', async () => {
    await using bench = await openBatchBench();
    const settings = { floor: 0, low: 0, resume: 0 };
    await bench.ledger.meetUpstream('one', settings);
    await bench.balance(10_000 * COST);
    await bench.ledger.applyDecision({
      ...{ seq: 1, at: 1, by: 'acme', action: 'set', changes: [], limits: {} },
      budgets: { acme: { total: 2 * COST } },
    });
    await bench.end(await bench.call());
    await bench.end(await bench.call(), UNCERTAIN);
    expect(await bench.ask(await bench.job())).toMatchObject({ verdict: 'hold', name: 'key:acme' });
    await bench.ledger.meetUpstream('one', settings);
    expect(await booked(bench)).toEqual(['acme 2 1']);
    // A call of another key, whose worker is lost.
    await bench.balance(10_000 * COST);
    await bench.call({ job: await bench.job({ account: 'other' }) });
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    expect((await bench.books()).keys.get('other')).toMatchObject({ total: 0, reserved: COST });
    await bench.ledger.meetUpstream('two', settings);
    expect(await booked(bench)).toEqual([]);
    const { keys, holds, uncertain, uncertainCalls } = await bench.books();
    expect(keys.get('other')).toMatchObject({ total: 0, reserved: 0 });
    expect(keys.get('acme')).toEqual({ total: 0, day: 0, reserved: 0, budget: { total: 2 * COST } });
    expect(holds.map(({ name }) => name)).toEqual(['operator']);
    // Calls of unknown outcome stay for people to see, and take nothing of the new one's balance.
    expect([uncertain, uncertainCalls.map(({ resolved }) => resolved)]).toEqual([0, [true, true]]);
  });
});
