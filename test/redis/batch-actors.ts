import type { BatchDecision } from '@renderyard/shared/batch/batch';
import type { Flush } from '@renderyard/shared/batch/batch-states';
import { parseRowJobId, rowJobId } from '@renderyard/shared/batch/row';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import type { Ticket } from '@renderyard/shared/job/job-store';
import { expect } from 'vitest';
import { type BatchBench, bitsOf, FLUSH_AFTER_MS, FLUSH_LEASE_MS } from './batch-bench.ts';
import { createBatchModel, IMAGE, isRow, type ModelCall, OUTCOMES } from './batch-model.ts';
import { COST, MODEL, TRIAL_MS } from './bench.ts';

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
  const model = createBatchModel(bench);
  const { calls, rows, rowOf, tell, expectAllWritten } = model;
  const flushes: Flush[] = [];
  const read: Written[] = [];
  const old: [string, BatchDecision][] = [];
  let versions = 0;
  const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(list.length, 1)];
  async function decide(id: string, change: Partial<BatchDecision>): Promise<void> {
    old.push([id, bench.decision(id)]);
    await bench.decide(id, change);
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
      const ask = () => bench.ask(job, { call: id, worker: id, slots: 4 + (n % 3) });
      let verdict = await ask();
      if (verdict.verdict === 'probe') {
        await bench.balance(1e13);
        verdict = await ask();
      }
      if (verdict.verdict !== 'go') return;
      if (isRow(job)) {
        const row = rowOf(job);
        expect(row.ended, `a call was granted for ${job}, which has ended`).toBeUndefined();
        const { batch } = parseRowJobId(job) ?? { batch: '' };
        expect((await bench.state(batch)).status).toBe('running');
        row.attempts++;
      }
      const outcome = pick(OUTCOMES, n >> 1) ?? IMAGE;
      calls.push({ id, job, estimate: verdict.estimate, outcome, charged: 0, spent: 0, told: 'nothing' });
    },
    /** A call that an emptied Redis had granted comes to its end, perhaps again. */
    async adopt(n: number) {
      const id = pick(batches, n);
      if (id === undefined) return;
      const { total } = await bench.state(id);
      const job = rowJobId(id, 1 + ((n >> 3) % total));
      const outcome = pick(OUTCOMES, n >> 2) ?? IMAGE;
      const again =
        n % 4 === 0
          ? pick(
              calls.filter(({ adopted }) => adopted),
              n >> 2,
            )
          : undefined;
      const old = again ?? calls.find((call) => call.id === `old-${job}`);
      const call: ModelCall = old ?? {
        id: `old-${job}`,
        job,
        estimate: COST,
        outcome,
        adopted: true,
        charged: 0,
        spent: 0,
        told: 'nothing',
      };
      if (old === undefined) calls.push(call);
      await tell(call, call.outcome);
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

  return {
    steps,
    batches,
    singles,
    expectBooksInOrder: () => model.expectBooksInOrder(batches),
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
