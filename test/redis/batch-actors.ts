import type { BatchDecision } from '@renderyard/shared/batch/batch';
import type { Flush } from '@renderyard/shared/batch/batch-states';
import { parseRowJobId } from '@renderyard/shared/batch/row';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import type { RowEnd, Settlement, Ticket } from '@renderyard/shared/job/job-store';
import { expect } from 'vitest';
import { type BatchBench, bitsOf, ERROR, FLUSH_AFTER_MS, FLUSH_LEASE_MS, rowsIn } from './batch-bench.ts';
import { COST, MODEL, TRIAL_MS } from './bench.ts';

interface ModelCall {
  readonly id: string;
  readonly job: string;
  readonly estimate: number;
  /** How it ends, if its worker lives to tell: whoever tells it again tells the same. */
  readonly outcome: Telling;
  /** What it has cost its job by what was told of it so far. */
  charged: number;
  told: 'nothing' | 'uncertain' | 'all';
}

interface Telling {
  readonly status: 'succeeded' | 'failed' | 'queued' | 'parked';
  readonly settlement: Settlement;
  readonly counted?: boolean;
}

const OUTCOMES: readonly Telling[] = [
  { status: 'succeeded', settlement: { kind: 'spent', cost: COST } },
  { status: 'succeeded', settlement: { kind: 'spent', cost: undefined } },
  { status: 'succeeded', settlement: { kind: 'spent', cost: COST / 2 } },
  { status: 'failed', settlement: { kind: 'released' } },
  { status: 'failed', settlement: { kind: 'spent', cost: COST / 2 } },
  { status: 'failed', settlement: { kind: 'uncertain', how: 'cut' } },
  { status: 'queued', settlement: { kind: 'uncertain', how: 'cut' } },
  { status: 'queued', settlement: { kind: 'released' } },
  { status: 'queued', settlement: { kind: 'released' }, counted: false },
  { status: 'parked', settlement: { kind: 'released' }, counted: false },
];

const IMAGE = OUTCOMES[0] as Telling;

/** What must be true of a row, by what was done with it. */
interface ModelRow {
  attempts: number;
  uncertain: number;
  cost: number;
  /** It ended, and no retry was asked for since. */
  ended: 'succeeded' | 'failed' | undefined;
}

interface Written {
  readonly flush: Flush;
  readonly part: number;
  readonly lines: readonly string[];
}

const HOLD = `model:${MODEL}` as const;
const ACCOUNTS = ['acme', 'other'];

/** What clients, workers, feeders and flushers do with batches, at random. `n` picks among what there is. */
export function createBatchActors(bench: BatchBench) {
  const batches: string[] = [];
  const singles: string[] = [];
  const tickets: Ticket[] = [];
  const calls: ModelCall[] = [];
  const flushes: Flush[] = [];
  const read: Written[] = [];
  const old: [string, BatchDecision][] = [];
  const rows = new Map<string, ModelRow>();
  let versions = 0;
  const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(list.length, 1)];
  const rowOf = (job: string): ModelRow => {
    const row = rows.get(job) ?? { attempts: 0, uncertain: 0, cost: 0, ended: undefined };
    rows.set(job, row);
    return row;
  };
  const isRow = (job: string) => parseRowJobId(job) !== undefined;

  async function decide(id: string, change: Partial<BatchDecision>): Promise<void> {
    old.push([id, bench.decision(id)]);
    await bench.decide(id, change);
  }

  /** Records the end of a call, and notes what must have come of it. */
  async function tell(call: ModelCall, telling: Telling): Promise<void> {
    const { settlement } = telling;
    const uncertain = settlement.kind === 'uncertain';
    const known = (await bench.redis.exists(`${bench.prefix}job:${call.job}`)) === 1;
    const row: RowEnd | undefined = isRow(call.job) ? await bench.rowEnd(call.job) : undefined;
    const answer = await bench.end(call, {
      ...telling,
      row,
      ...(telling.status === 'failed' ? { error: ERROR } : {}),
      ...(uncertain ? { uncertain: 'limited' as const } : {}),
    });
    const charge = settlement.kind === 'spent' ? (settlement.cost ?? call.estimate) : uncertain ? call.estimate : 0;
    const before = call.charged;
    if (call.told === 'nothing' || (call.told === 'uncertain' && !uncertain)) {
      call.charged = charge;
      call.told = uncertain ? 'uncertain' : 'all';
    }
    if (!isRow(call.job)) return;
    const model = rowOf(call.job);
    if (known) model.cost += call.charged - before;
    if (answer.late) return;
    if (uncertain) model.uncertain++;
    if (telling.counted === false) model.attempts--;
    if (answer.status === 'succeeded' || answer.status === 'failed') await expectEnd(call.job, answer.status);
  }

  async function expectEnd(job: string, status: 'succeeded' | 'failed'): Promise<void> {
    const model = rowOf(job);
    expect(model.ended, `${job} has ended before, and ends again`).toBeUndefined();
    model.ended = status;
    const { batch, row } = parseRowJobId(job) ?? { batch: '', row: 0 };
    const { attempts, uncertain, cost } = (await bench.results(batch)).get(row) ?? {};
    expect({ attempts, uncertain, cost }, `the result of ${job}`).toEqual({
      attempts: model.attempts,
      uncertain: model.uncertain,
      cost: model.cost,
    });
  }

  const steps = {
    async open(n: number) {
      if (batches.length === 4) return;
      const budget = n % 3 === 0 ? (1 + (n % 7)) * COST : null;
      const account = ACCOUNTS[n % 2] ?? 'acme';
      batches.push(await bench.open(1 + (n % 2 === 0 ? n % 5 : n % 25), { account, decision: { budget } }));
    },
    async single() {
      singles.push(await bench.job());
    },
    async take(n: number) {
      tickets.push(...(await bench.jobs.takeTickets(1 + (n % 8))));
    },
    /** A worker takes a ticket, of whatever age. */
    async work(n: number) {
      const ticket = pick(n % 4 === 0 ? tickets : tickets.slice(-6), n >> 2);
      if (ticket !== undefined) await steps.claim(ticket, n);
    },
    async claim(ticket: Ticket, n: number) {
      const claim = await bench.jobs.claim(ticket, TRIAL_MS);
      if (claim.verdict !== 'yours') return;
      const { job, lost } = claim;
      if (lost === undefined) return steps.ask(job.id, n);
      const call = calls.find(({ id }) => id === lost.call);
      if (call === undefined) throw new Error(`nobody made ${lost.call}`);
      // Its image is found, or nobody knows.
      if (n % 3 === 0 && call.outcome.status === 'succeeded') await tell(call, call.outcome);
      else {
        const status = n % 3 === 2 ? 'failed' : 'queued';
        await tell(call, { status, settlement: { kind: 'uncertain', how: 'lost_worker' } });
      }
    },
    /** Asks for a call without a look at the ticket, as a worker does that was frozen after its claim. */
    async ask(job: string, n: number) {
      const id = `call-${calls.length}`;
      const verdict = await bench.ask(job, { call: id, worker: id, slots: 4 + (n % 3) });
      if (verdict.verdict !== 'go') return;
      if (isRow(job)) {
        const model = rowOf(job);
        expect(model.ended, `a call was granted for ${job}, which has ended`).toBeUndefined();
        const { batch } = parseRowJobId(job) ?? { batch: '' };
        expect((await bench.state(batch)).status).toBe('running');
        model.attempts++;
      }
      const outcome = pick(OUTCOMES, n >> 1) ?? IMAGE;
      calls.push({ id, job, estimate: verdict.estimate, outcome, charged: 0, told: 'nothing' });
    },
    async askLate(n: number) {
      const ticket = pick(tickets, n);
      if (ticket !== undefined) await steps.ask(ticket.job, n);
    },
    /** A worker tells how a call ended, perhaps again, perhaps too late. */
    async end(n: number) {
      const call = pick(n % 4 === 0 ? calls : calls.filter(({ told }) => told === 'nothing'), n >> 2);
      if (call === undefined) return;
      await tell(call, call.outcome);
    },
    /** A run of a ticket ends without a call, because the model is held. */
    async park(n: number) {
      const ticket = pick(tickets, n);
      if (ticket === undefined) return;
      const row = isRow(ticket.job) ? { row: await bench.rowEnd(ticket.job) } : {};
      await bench.jobs.record({ job: ticket.job, status: 'parked', ...row }, TRIAL_MS);
    },
    async pause(n: number) {
      const id = pick(batches, n);
      if (id !== undefined) await decide(id, { status: 'paused' });
    },
    async resume(n: number) {
      const id = pick(batches, n);
      if (id !== undefined && bench.decision(id).status !== 'canceled')
        await decide(id, { status: 'running', ...(n % 2 === 0 ? { budget: null } : {}) });
    },
    async cancel(n: number) {
      const id = pick(batches, n);
      if (id !== undefined) await decide(id, { status: 'canceled' });
    },
    /** Failed rows are due again, also those of a batch that has ended. */
    async retry(n: number) {
      const id = pick(batches, n);
      if (id === undefined || bench.decision(id).status === 'canceled') return;
      const state = await bench.state(id);
      if (state.status === 'canceling' || state.status === 'canceled') return;
      const runs = bench.decision(id).runs + 1;
      if (state.status !== 'completed') await decide(id, { status: 'running', runs });
      else {
        const results = [...(bench.written.get(id)?.values() ?? [])];
        const of = (status: string) => results.filter((result) => result.status === status).map(({ row }) => row);
        const [succeeded, failed] = [of('succeeded'), of('failed')];
        if (failed.length === 0) return;
        bench.next(id, { status: 'running', runs });
        expect(
          await bench.reopen(id, {
            succeeded: bitsOf(...succeeded),
            again: bitsOf(...failed),
            cursor: state.total,
            counts: { succeeded: succeeded.length, failed: 0 },
            cost: state.cost,
            uncertain: state.uncertain,
            versions: new Map([[0, versions]]),
          }),
        ).toBe(true);
      }
      for (const [job, row] of rows)
        if (parseRowJobId(job)?.batch === id && row.ended === 'failed') row.ended = undefined;
    },
    /** A decision comes again, when others have come since. */
    async replay(n: number) {
      const [id, decision] = pick(old, n) ?? [];
      if (id === undefined || decision === undefined) return;
      const before = await bench.states.get(id);
      expect(await bench.states.decide(id, decision)).toEqual(before);
    },
    async reopen(n: number) {
      const id = pick(batches, n);
      if (id !== undefined && (await bench.state(id)).status !== 'completed')
        expect(await bench.reopen(id)).toBe(false);
    },
    async pass(n: number) {
      await bench.pass(n % 2 === 0 ? LEASE_MS : FLUSH_AFTER_MS);
      await bench.ledger.renew(calls.filter((_, i) => ((n >> (i % 8)) & 1) === 1).map(({ id }) => id));
      await bench.ledger.reap(TRIAL_MS);
      await bench.ledger.releaseHold('upstream');
    },
    async hold(n: number) {
      await bench.ledger.setHold(HOLD, 'why', n % 2 === 0 ? { trialMs: LEASE_MS } : {});
    },
    async release() {
      await bench.ledger.releaseHold(HOLD);
      await bench.jobs.unpark();
    },
    async repair(n: number) {
      const fed = pick(await bench.jobs.fedBefore(Date.now() + 1000), n);
      const ticket = fed && (await bench.jobs.retakeTicket(fed.job, fed.fedAt));
      if (ticket !== undefined) tickets.push(ticket);
    },
    async takeFlush() {
      const flush = await bench.states.takeFlush(FLUSH_LEASE_MS);
      if (flush === undefined) return;
      expect(flush.version).toBeGreaterThan(versions);
      flushes.push(flush);
    },
    /** Reads a part that is to be written. */
    async read(n: number) {
      const flush = pick(flushes.slice(-4), n);
      const part = flush && pick(flush.parts, n >> 2);
      if (flush !== undefined && part !== undefined)
        read.push({ flush, part: part.part, lines: await bench.states.unwritten(flush.batch, part.part) });
    },
    /** Says that what was read lies in the store, perhaps too late. */
    async write(n: number) {
      const one = pick(read.slice(-4), n);
      if (one === undefined || !(await bench.states.flushed(one.flush, one.part, one.lines))) return;
      const stored = bench.written.get(one.flush.batch);
      for (const line of one.lines) {
        const result = JSON.parse(line) as RowResult;
        if (result.run >= (stored?.get(result.row)?.run ?? 0)) stored?.set(result.row, result);
      }
    },
    async endFlush(n: number) {
      const flush = pick(flushes.slice(-4), n);
      if (flush !== undefined) await bench.states.endFlush(flush);
    },
    async complete(n: number) {
      const flush = pick(flushes.slice(-4), n);
      if (flush !== undefined && (await bench.states.complete(flush, Date.now()))) await expectAllWritten(flush.batch);
    },
    /** A flush from its beginning to its end. */
    async flush() {
      const flush = await bench.states.takeFlush(FLUSH_LEASE_MS);
      if (flush === undefined) return;
      versions = Math.max(versions, flush.version);
      await bench.writeParts(flush);
      if (flush.ending && (await bench.states.complete(flush, Date.now()))) await expectAllWritten(flush.batch);
      else await bench.states.endFlush(flush);
    },
  };

  async function expectAllWritten(id: string): Promise<void> {
    const written = bench.written.get(id);
    for (const [job, { ended }] of rows) {
      const place = parseRowJobId(job);
      if (place?.batch === id && ended !== undefined) expect(written?.get(place.row)?.status, job).toBe(ended);
    }
  }

  return {
    steps,
    batches,
    singles,
    /** What batches cost, what is reserved, and what has ended, by what was done. */
    async expectBooksInOrder(): Promise<void> {
      for (const id of batches) {
        const of = (job: string) => parseRowJobId(job)?.batch === id;
        const state = await bench.state(id);
        expect(state.cost, `the cost of ${id}`).toBe(
          calls.filter(({ job }) => of(job)).reduce((sum, { charged }) => sum + charged, 0),
        );
        if (state.status === 'completed' || state.status === 'canceled') continue;
        const ended = [...rows].filter(([job, row]) => of(job) && row.ended !== undefined);
        const count = (status: string) => ended.filter(([, row]) => row.ended === status).length;
        expect([state.succeeded, state.failed]).toEqual([count('succeeded'), count('failed')]);
        expect((await rowsIn(bench, id, 'ok')).length).toBe(count('succeeded'));
      }
      const flying = Object.values(await bench.redis.hgetall(`${bench.prefix}calls`));
      const reserved = flying.reduce((sum, text) => sum + (JSON.parse(text) as { estimate: number }).estimate, 0);
      expect((await bench.books()).reserved).toBe(reserved);
    },
    /** Everything goes on until nothing is left to do. */
    async driveToTheEnd(): Promise<void> {
      for (let round = 0; ; round++) {
        if (round > 200) throw new Error('it does not come to its end');
        await steps.release();
        await bench.pass(FLUSH_AFTER_MS);
        await bench.ledger.reap(TRIAL_MS);
        await bench.ledger.releaseHold('upstream');
        for (const id of batches)
          if ((await bench.state(id)).status === 'paused') await decide(id, { status: 'running', budget: null });
        await bench.jobs.takeTickets(12);
        // Tickets may be lost; those that are missing are made anew.
        for (const { job, fedAt } of await bench.jobs.fedBefore(Date.now() + 1000)) {
          const ticket = await bench.jobs.retakeTicket(job, fedAt);
          if (ticket === undefined) continue;
          await steps.claim(ticket, 1);
          const call = calls.at(-1);
          if (call?.job === job && call.told === 'nothing') await tell(call, IMAGE);
        }
        for (let i = 0; i < batches.length; i++) await steps.flush();
        const states = await Promise.all(batches.map((id) => bench.state(id)));
        const left = await bench.redis.zcard(`${bench.prefix}fed`);
        if (left === 0 && states.every(({ status }) => status === 'completed' || status === 'canceled')) break;
      }
      for (const id of batches) {
        const { status, total } = await bench.state(id);
        if (status === 'completed') expect(bench.written.get(id)?.size).toBe(total);
      }
      expect(calls.filter(({ told }) => told === 'nothing')).toEqual([]);
    },
  };
}
export type BatchActors = ReturnType<typeof createBatchActors>;
