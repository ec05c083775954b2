import type { Ticket } from '@renderyard/shared/job/job-store';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, MODEL, openBench, TRIAL_MS } from './bench.ts';

const HOLD = `model:${MODEL}` as const;
const released = { kind: 'released' } as const;
const refused = (hold: typeof HOLD | 'credits' = HOLD) =>
  ({ status: 'queued', settlement: released, refusal: { hold, detail: 'Refused.' } }) as const;
const held = (bench: Bench) => bench.books().then(({ holds }) => holds.map(({ name }) => name));

/** Makes a call for the job, which the upstream refuses. */
async function refuse(bench: Bench, job: string, hold: typeof HOLD | 'credits' = HOLD) {
  const ended = await bench.end(await bench.call({ job }), refused(hold));
  await bench.pass(10);
  return ended;
}

async function succeed(bench: Bench, model = MODEL) {
  await bench.end(await bench.call({ model }));
  await bench.pass(10);
}

const jobsOf = (tickets: readonly Ticket[]) => tickets.map(({ job }) => job);

describe('a refusal that may be one row’s own matter', () => {
  it('is charged to the row only if others succeeded since it was refused before', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const odd = await bench.job();
    await succeed(bench);
    expect(await refuse(bench, odd)).toEqual({ status: 'queued', late: false });
    expect(await bench.jobs.get(odd)).toMatchObject({ attempts: 0, tries: 0 });
    await refuse(bench, odd);
    expect(await bench.jobs.get(odd)).toMatchObject({ attempts: 0, tries: 0 });
    await succeed(bench);
    await refuse(bench, odd);
    expect(await bench.jobs.get(odd)).toMatchObject({ attempts: 1, tries: 1, status: 'queued' });
    await refuse(bench, odd);
    expect(await bench.jobs.get(odd)).toMatchObject({ attempts: 1, tries: 1 });
    expect(await held(bench)).toEqual([]);
  });

  it('ends the row at its last attempt only if it is charged', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const odd = await bench.job();
    const last = { ...refused(), status: 'failed', error: { code: 'upstream_rejected', detail: 'Refused.' } } as const;
    expect(await bench.end(await bench.call({ job: odd }), last)).toMatchObject({ status: 'queued' });
    expect(await bench.jobs.get(odd)).toMatchObject({ status: 'queued', error: undefined });
    await bench.pass(10);
    await succeed(bench);
    expect(await bench.end(await bench.call({ job: odd }), last)).toMatchObject({ status: 'failed' });
    expect(await bench.jobs.get(odd)).toMatchObject({ status: 'failed', error: last.error, attempts: 1 });
  });

  it('is not charged for the success of another model', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const odd = await bench.job();
    await refuse(bench, odd);
    await succeed(bench, 'model-b');
    await refuse(bench, odd);
    expect(await bench.jobs.get(odd)).toMatchObject({ attempts: 0 });
  });

  it('cancels a job that was canceled meanwhile', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const call = await bench.call();
    await bench.jobs.cancel(call.job);
    expect(await bench.end(call, refused())).toMatchObject({ status: 'canceled' });
  });
});

describe('three refusals without a success', () => {
  it('hold the model, whoever was refused, and park the third', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const jobs = [await bench.job(), await bench.job(), await bench.job()];
    const endings = [];
    for (const job of jobs) endings.push((await refuse(bench, job)).status);
    expect(endings).toEqual(['queued', 'queued', 'parked']);
    expect(await held(bench)).toEqual([HOLD]);
    for (const job of jobs)
      expect(await bench.jobs.get(job)).toMatchObject({ status: 'queued', attempts: 0, call: '' });
    expect(await bench.ask(await bench.job({ model: 'model-b' }), { model: 'model-b' })).toMatchObject({
      verdict: 'go',
    });
  });

  it('hold everything when they were for want of credits, and park nothing', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const job = await bench.job();
    const endings = [];
    for (let i = 0; i < 3; i++) endings.push((await refuse(bench, job, 'credits')).status);
    expect(endings).toEqual(['queued', 'queued', 'queued']);
    expect(await held(bench)).toEqual(['credits']);
  });

  it('are counted anew after a success', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    for (let i = 0; i < 2; i++) await refuse(bench, await bench.job());
    await succeed(bench);
    for (let i = 0; i < 2; i++) await refuse(bench, await bench.job());
    expect(await held(bench)).toEqual([]);
  });

  it('are over with the success of a trial', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    for (let i = 0; i < 3; i++) await refuse(bench, await bench.job());
    await bench.pass(TRIAL_MS);
    const trial = await bench.call();
    expect(await bench.ask(await bench.job())).toMatchObject({ verdict: 'hold', name: HOLD });
    await bench.end(trial);
    expect(await held(bench)).toEqual([]);
    for (let i = 0; i < 2; i++) await refuse(bench, await bench.job());
    expect(await held(bench)).toEqual([]);
  });
});

describe('jobs of a model that is held', () => {
  it('are parked when tickets are taken, and keep no place from others', async () => {
    await using bench = await openBench();
    await bench.ledger.setHold(HOLD, 'why');
    for (let i = 0; i < 5; i++) await bench.job();
    const free = [await bench.job({ model: 'model-b' }), await bench.job({ model: 'model-b' })];
    expect(jobsOf(await bench.jobs.takeTickets(2))).toEqual(free);
    expect(await bench.redis.zcard(`${bench.prefix}waiting`)).toBe(0);
    expect(await bench.jobs.unpark()).toBe(0);
  });

  it('wait again in their order when the hold is over, all of them', async () => {
    await using bench = await openBench();
    await bench.ledger.setHold(HOLD, 'why');
    const jobs = await Promise.all(Array.from({ length: 600 }, () => bench.job()));
    expect(await bench.jobs.takeTickets(1000)).toEqual([]);
    await bench.ledger.releaseHold(HOLD);
    expect(await bench.jobs.unpark()).toBe(500);
    expect(await bench.jobs.unpark()).toBe(100);
    expect(await bench.jobs.unpark()).toBe(0);
    expect(await bench.redis.exists(`${bench.prefix}parked`)).toBe(0);
    const fed = [];
    for (let more = await bench.jobs.takeTickets(1000); more.length > 0; more = await bench.jobs.takeTickets(1000))
      fed.push(...jobsOf(more));
    expect(fed).toEqual(jobs);
  });

  it('take turns at the trials', async () => {
    await using bench = await openBench();
    await bench.balance(1e12);
    const jobs = [await bench.job(), await bench.job(), await bench.job()];
    await bench.ledger.setHold(HOLD, 'why', { trialMs: TRIAL_MS });
    expect(await bench.jobs.takeTickets(10)).toEqual([]);
    const tried = [];
    for (let trial = 0; trial < 6; trial++) {
      await bench.pass(TRIAL_MS);
      expect(await bench.jobs.unpark()).toBe(1);
      const [ticket] = await bench.jobs.takeTickets(10);
      if (ticket === undefined) throw new Error('there is no ticket for the trial');
      tried.push(ticket.job);
      expect(await bench.jobs.claim(ticket, TRIAL_MS)).toMatchObject({ verdict: 'yours' });
      expect(await refuse(bench, ticket.job)).toMatchObject({ status: trial < 2 ? 'queued' : 'parked' });
      if (trial < 2) await bench.jobs.record({ job: ticket.job, status: 'parked' }, TRIAL_MS);
      expect(await bench.jobs.unpark()).toBe(0);
    }
    expect(tried).toEqual([...jobs, ...jobs]);
  });

  it('can be canceled, and leave nothing behind', async () => {
    await using bench = await openBench();
    await bench.ledger.setHold(HOLD, 'why');
    const job = await bench.job();
    await bench.jobs.takeTickets(10);
    expect(await bench.jobs.cancel(job)).toMatchObject({ status: 'canceled' });
    await bench.ledger.releaseHold(HOLD);
    expect(await bench.jobs.unpark()).toBe(0);
    expect(await bench.redis.exists(`${bench.prefix}parked`, `${bench.prefix}parked:${MODEL}`)).toBe(0);
  });
});

describe('a row that is refused alone, call after call', () => {
  it('costs nothing', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const odd = await bench.job();
    for (let i = 0; i < 2; i++) await refuse(bench, odd);
    expect(await bench.jobs.get(odd)).toMatchObject({ cost: 0 });
    expect(await bench.books()).toMatchObject({ balance: 10 * COST, reserved: 0, spent: 0 });
  });
});
