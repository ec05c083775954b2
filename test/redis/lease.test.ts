import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { createLogger } from '@renderyard/shared/logger';
import { createCallsInFlight } from '@renderyard/worker/render/calls-in-flight';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, LIMITS, openBench, TRIAL_MS } from './bench.ts';

/** The ticket of a job that was fed. */
async function ticketOf(bench: Bench, job: string) {
  const tickets = await bench.jobs.takeTickets(1000);
  const ticket = tickets.find((one) => one.job === job);
  if (ticket === undefined) throw new Error(`${job} was given no ticket`);
  return ticket;
}

describe('a lease that runs out', () => {
  it('frees the slot at once and counts the credits as uncertain, never as released', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const { id, job, grant } = await bench.call();
    await bench.pass(LEASE_MS - 1000);
    expect(await bench.ledger.reap(TRIAL_MS)).toBe(0);
    await bench.pass(1000);
    expect(await bench.ask(await bench.job(), { slots: 1 })).toMatchObject({ verdict: 'go' });
    const books = await bench.books();
    expect(books).toMatchObject({ balance: 10 * COST, reserved: COST, uncertain: COST, spent: 0, inFlight: 1 });
    expect(books.uncertainCalls).toMatchObject([
      { call: id, job, how: 'lost_worker', estimate: COST, resolved: false },
    ]);
    expect(Math.abs((books.uncertainCalls[0]?.startedAt ?? 0) + LEASE_MS - grant.startedAt)).toBeLessThan(10);
  });

  it('is noticed by whoever asks next: another call, a claim, or upkeep', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const notice = [
      async () => void (await bench.ledger.reap(TRIAL_MS)),
      async () => void (await bench.ask('job_unknown')),
      async () => void (await bench.jobs.claim({ job: 'job_unknown', generation: 1 }, TRIAL_MS)),
    ];
    for (const [index, look] of notice.entries()) {
      await bench.call({ worker: `worker-${index}` });
      await bench.pass(LEASE_MS);
      await look();
      expect(await bench.books()).toMatchObject({ inFlight: 0, reserved: 0, uncertain: (index + 1) * COST });
    }
  });

  it('shows the job’s next run the lost call, which is charged to the job when that run records it', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const job = await bench.job();
    const ticket = await ticketOf(bench, job);
    const call = await bench.call({ job });
    expect(await bench.jobs.claim(ticket, TRIAL_MS)).toMatchObject({ verdict: 'busy' });
    await bench.pass(LEASE_MS);
    const claim = await bench.jobs.claim(ticket, TRIAL_MS);
    expect(claim).toMatchObject({ verdict: 'yours', lost: { call: call.id, estimate: COST } });
    expect(await bench.jobs.get(job)).toMatchObject({ cost: 0 });
    const lost = {
      status: 'queued',
      uncertain: 'limited',
      settlement: { kind: 'uncertain', how: 'lost_worker' },
    } as const;
    expect(await bench.end(call, lost)).toEqual({ status: 'queued', late: false });
    expect(await bench.end(call, lost)).toEqual({ status: 'queued', late: true });
    expect(await bench.jobs.get(job)).toMatchObject({
      cost: COST,
      attempts: 1,
      uncertain: 1,
      uncertainTries: 1,
      call: '',
    });
    expect(await bench.books()).toMatchObject({ reserved: 0, uncertain: COST });
  });

  it('tells a claim how long the call of another run may yet take', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const job = await bench.job();
    const ticket = await ticketOf(bench, job);
    await bench.call({ job });
    await bench.pass(2000);
    const claim = await bench.jobs.claim(ticket, TRIAL_MS);
    if (claim.verdict !== 'busy') throw new Error(claim.verdict);
    expect(claim.ms).toSatisfy((ms: number) => ms > LEASE_MS - 3000 && ms <= LEASE_MS - 2000);
  });
});

describe('renew', () => {
  it('keeps calls in flight for another lease', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const { id } = await bench.call();
    for (let i = 0; i < 3; i++) {
      await bench.pass(LEASE_MS - 1000);
      expect(await bench.ledger.renew([id])).toEqual([]);
    }
    expect(await bench.books()).toMatchObject({ inFlight: 1, reserved: COST, uncertain: 0 });
  });

  it('takes a lost call back as long as its job has not gone on without it', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const call = await bench.call();
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    expect(await bench.ledger.renew([call.id])).toEqual([]);
    expect(await bench.books()).toMatchObject({ inFlight: 1, reserved: COST, uncertain: 0, uncertainCalls: [] });
    expect(await bench.end(call)).toMatchObject({ status: 'succeeded', late: false });
    expect(await bench.books()).toMatchObject({ balance: 9 * COST, reserved: 0, uncertain: 0, spent: COST });
  });

  it('names a lost call whose job has gone on, and leaves it lost', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const call = await bench.call();
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    await bench.end(call, { status: 'queued', settlement: { kind: 'uncertain', how: 'lost_worker' } });
    expect(await bench.ledger.renew([call.id])).toEqual([call.id]);
    const again = await bench.call({ job: call.job });
    expect(await bench.ledger.renew([call.id, again.id])).toEqual([call.id]);
    expect(await bench.books()).toMatchObject({ inFlight: 1, reserved: COST, uncertain: COST });
  });

  it('does not take back a lost call whose cost a reading has told', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const call = await bench.call();
    await bench.pass(LIMITS.timeoutMs + 31_000);
    await bench.ledger.reap(TRIAL_MS);
    await bench.balance(9 * COST);
    expect(await bench.ledger.renew([call.id])).toEqual([call.id]);
    expect(await bench.books()).toMatchObject({ balance: 9 * COST, inFlight: 0, reserved: 0, uncertain: 0 });
  });

  it('names a call that ended, and one that never was', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const call = await bench.call();
    await bench.end(call);
    expect(await bench.ledger.renew([call.id, 'call_unknown'])).toEqual([call.id, 'call_unknown']);
    expect(await bench.books()).toMatchObject({ inFlight: 0, reserved: 0, uncertain: 0 });
    expect(await bench.ledger.renew([])).toEqual([]);
  });
});

describe('a worker that renews', () => {
  /** Calls in flight at the real ledger, renewed so often that a test need not wait. */
  const renewOften = (renew: (calls: readonly string[]) => Promise<readonly string[]>) => {
    const logs: { readonly level: number; readonly calls?: unknown; readonly msg: string }[] = [];
    const write = (line: string) => void logs.push(JSON.parse(line));
    const logger = createLogger({ service: 'test', level: 'warn', destination: { write } });
    let renewals = 0;
    const counted = async (calls: readonly string[]) => {
      const unknown = await renew(calls);
      renewals += 1;
      return unknown;
    };
    const inFlight = createCallsInFlight({ ledger: { renew: counted }, logger, renewMs: 5 });
    const renewed = async (times: number) => {
      const enough = renewals + times;
      await expect.poll(() => renewals, { interval: 5, timeout: 5000 }).toBeGreaterThan(enough);
    };
    return { ...inFlight, logs, renewed, [Symbol.dispose]: inFlight.stop };
  };

  it('says nothing of calls that end while a renewal is on its way', async () => {
    await using bench = await openBench();
    await bench.balance(100 * COST);
    const ending = new Map<string, { readonly job: string; readonly release: () => void }>();
    const raced: string[] = [];
    using inFlight = renewOften(async (calls) => {
      const racing = calls.filter((call) => ending.has(call));
      for (const id of racing) await bench.end({ id, job: ending.get(id)?.job ?? '' });
      const unknown = await bench.ledger.renew(calls);
      // That they are recorded is known here a moment after the renewal has been answered.
      for (const id of racing) setImmediate(ending.get(id)?.release ?? expect.unreachable);
      for (const id of racing) ending.delete(id);
      raced.push(...unknown);
      return unknown;
    });
    inFlight.enter((await bench.call()).id);
    const ended: string[] = [];
    for (let i = 0; i < 5; i++) {
      const { id, job } = await bench.call();
      ending.set(id, { job, release: inFlight.enter(id) });
      ended.push(id);
      await inFlight.renewed(2);
    }
    expect(raced).toEqual(ended);
    expect(inFlight.logs).toEqual([]);
  });

  it('says once which of its calls are lost', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const lost = await bench.call();
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    await bench.end(lost, { status: 'queued', settlement: { kind: 'uncertain', how: 'lost_worker' } });
    const other = await bench.call();
    using inFlight = renewOften(bench.ledger.renew);
    inFlight.enter(lost.id);
    inFlight.enter(other.id);
    await inFlight.renewed(4);
    expect(inFlight.logs).toMatchObject([
      { level: 40, calls: [lost.id], msg: expect.stringContaining('taken for lost') },
    ]);
  });
});

describe('the answer of a worker that was thought dead', () => {
  it('counts its cost in place of the estimate, and does not take the job from its next run', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const call = await bench.call();
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    await bench.end(call, { status: 'queued', settlement: { kind: 'uncertain', how: 'lost_worker' } });
    const again = await bench.call({ job: call.job });
    const cost = COST / 2;
    expect(await bench.end(call, { settlement: { kind: 'spent', cost } })).toEqual({
      status: 'processing',
      late: true,
    });
    expect(await bench.end(call, { settlement: { kind: 'spent', cost } })).toEqual({
      status: 'processing',
      late: true,
    });
    expect(await bench.jobs.get(call.job)).toMatchObject({ status: 'processing', call: again.id, cost, output: [] });
    expect(await bench.books()).toMatchObject({ balance: 10 * COST - cost, reserved: COST, uncertain: 0, spent: cost });
    await bench.end(again, { settlement: { kind: 'spent', cost } });
    expect(await bench.jobs.get(call.job)).toMatchObject({ status: 'succeeded', cost: 2 * cost, attempts: 2 });
  });

  it('is the job’s end when nobody has taken the job over', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const call = await bench.call();
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    expect(await bench.end(call)).toMatchObject({ status: 'succeeded', late: false });
    expect(await bench.jobs.get(call.job)).toMatchObject({ status: 'succeeded', cost: COST });
    expect(await bench.books()).toMatchObject({ balance: 9 * COST, reserved: 0, uncertain: 0, spent: COST });
  });

  it('gives back what was charged when the call turns out not to have been billed', async () => {
    await using bench = await openBench();
    await bench.balance(10 * COST);
    const call = await bench.call();
    await bench.pass(LEASE_MS);
    await bench.ledger.reap(TRIAL_MS);
    await bench.end(call, { status: 'queued', settlement: { kind: 'uncertain', how: 'lost_worker' } });
    expect((await bench.jobs.get(call.job))?.cost).toBe(COST);
    await bench.end(call, { status: 'failed', settlement: { kind: 'released' } });
    expect((await bench.jobs.get(call.job))?.cost).toBe(0);
    expect(await bench.books()).toMatchObject({ balance: 10 * COST, reserved: 0, uncertain: 0, spent: 0 });
  });
});
