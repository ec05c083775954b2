import { LEASE_MS } from '@renderyard/shared/credits/ledger';
import { isFinal, JOB_STATUSES, type JobStatus } from '@renderyard/shared/job/job';
import type { Ticket } from '@renderyard/shared/job/job-store';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Bench, COST, MODEL, openBench, TRIAL_MS } from './bench.ts';

const HOLD = `model:${MODEL}` as const;
/** Where a job waits for what comes next. */
const PLACES = ['waiting', 'fed', `parked:${MODEL}`];
const STEPS = [
  ...['create', 'take', 'work', 'end', 'cancel', 'retry', 'sweep', 'pass', 'hold', 'release', 'unpark', 'park'],
  ...['repair', 'forget'],
] as const;

/** Ways through the states, so that chance need not find them: a step of each may be left out. */
const MOTIFS: readonly (readonly (typeof STEPS)[number][])[] = [
  ['create', 'take', 'work', 'end'],
  ['take', 'work', 'cancel', 'end', 'retry'],
  ['take', 'work', 'pass', 'work', 'end'],
  ['hold', 'take', 'release', 'unpark', 'take'],
  ['take', 'hold', 'work', 'park', 'release', 'unpark'],
  ['take', 'cancel', 'retry', 'work', 'take', 'end', 'repair'],
  ['create', 'pass', 'sweep', 'retry'],
  ['cancel', 'pass', 'forget'],
];
const moves = fc
  .array(
    fc.oneof(
      fc.constantFrom(...STEPS).map((step) => [step]),
      fc.constantFrom(...MOTIFS).chain((motif) => fc.subarray([...motif], { minLength: motif.length - 1 })),
    ),
    { minLength: 4, maxLength: 12 },
  )
  .map((parts) => parts.flat())
  .chain((steps) => fc.tuple(...steps.map((step) => fc.tuple(fc.constant(step), fc.nat(255)))));

/** What clients, workers and upkeep do with jobs, at random. `n` picks among what there is. */
function createActors(bench: Bench) {
  const ids: string[] = [];
  const tickets: Ticket[] = [];
  const calls: { readonly id: string; readonly job: string }[] = [];
  const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(list.length, 1)];
  const settlements = [{ kind: 'spent', cost: COST }, { kind: 'released' }, { kind: 'uncertain', how: 'cut' }] as const;

  const steps = {
    async create(n: number) {
      ids.push(await bench.job(n % 3 === 0 ? { expiresAt: Date.now() + LEASE_MS / 2 } : {}));
    },
    async take(n: number) {
      tickets.push(...(await bench.jobs.takeTickets(1 + (n % 5))));
    },
    /** A worker takes a ticket, of whatever age. */
    async work(n: number) {
      const ticket = pick(tickets, n);
      if (ticket === undefined) return;
      const claim = await bench.jobs.claim(ticket, TRIAL_MS);
      if (claim.verdict !== 'yours') return;
      const { job, lost } = claim;
      if (lost !== undefined) {
        const settlement = { kind: 'uncertain', how: 'lost_worker' } as const;
        await bench.end({ id: lost.call, job: job.id }, { status: n % 2 === 0 ? 'queued' : 'failed', settlement });
        return;
      }
      const id = `call-${calls.length}`;
      if ((await bench.ask(job.id, { call: id, worker: id })).verdict === 'go') calls.push({ id, job: job.id });
    },
    /** A worker tells how a call ended, perhaps again, perhaps too late. */
    async end(n: number) {
      const call = pick(calls, n);
      if (call === undefined) return;
      const status = pick(['succeeded', 'succeeded', 'failed', 'queued', 'parked'] as const, n >> 3) ?? 'failed';
      await bench.end(call, { status, settlement: pick(settlements, n >> 5) ?? settlements[0] });
    },
    async park(n: number) {
      const job = pick(ids, n);
      if (job !== undefined) await bench.jobs.record({ job, status: 'parked' }, TRIAL_MS);
    },
    async cancel(n: number) {
      await bench.jobs.cancel(pick(ids, n) ?? 'job_none');
    },
    async retry(n: number) {
      await bench.jobs.retry(pick(ids, n) ?? 'job_none', 100);
    },
    async sweep() {
      await bench.jobs.sweep(0);
    },
    async forget() {
      await bench.jobs.sweep(Date.now() - LEASE_MS);
    },
    async pass(n: number) {
      await bench.pass(LEASE_MS);
      await bench.ledger.renew(calls.filter((_, i) => ((n >> (i % 8)) & 1) === 1).map(({ id }) => id));
      await bench.ledger.releaseHold('upstream');
    },
    async hold(n: number) {
      await bench.ledger.setHold(HOLD, 'why', n % 2 === 0 ? { trialMs: LEASE_MS } : {});
    },
    async release() {
      await bench.ledger.releaseHold(HOLD);
    },
    async unpark() {
      await bench.jobs.unpark();
    },
    async repair(n: number) {
      const fed = pick(await bench.jobs.fedBefore(Date.now() + 1000), n);
      const ticket = fed && (await bench.jobs.retakeTicket(fed.job, fed.fedAt));
      if (ticket !== undefined) tickets.push(ticket);
    },
  };
  return { ids, steps };
}

/** All that the scripts have written, read at once. */
async function read(bench: Bench, ids: readonly string[]) {
  const { redis, prefix } = bench;
  const lists = ['jobs:acme', ...JOB_STATUSES.map((status) => `jobs:acme:${status}`)];
  const sets = ['slots', 'ended', 'expiring', ...PLACES, ...lists];
  const pipeline = redis.pipeline();
  for (const name of sets) pipeline.zrange(`${prefix}${name}`, '0', '-1');
  for (const id of ids) pipeline.hgetall(`${prefix}job:${id}`);
  pipeline.hgetall(`${prefix}calls`);
  const answers = ((await pipeline.exec()) ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
  const members = new Map(sets.map((name, i) => [name, new Set(answers[i] as string[])]));
  return {
    in: (name: string) => members.get(name) ?? new Set<string>(),
    jobs: ids.map((id, i) => {
      const hash = answers[sets.length + i] as Record<string, string>;
      return { id, status: hash.status as JobStatus | undefined, call: hash.call };
    }),
    calls: Object.entries(answers.at(-1) as Record<string, string>).map(([id, text]) => ({
      id,
      ...(JSON.parse(text) as { job: string; estimate: number }),
    })),
  };
}
type Found = Awaited<ReturnType<typeof read>>;

/** Each job is in the lists of its status, and in a place from which it goes on until it ends. */
function expectInOrder(found: Found): void {
  for (const { id, status, call } of found.jobs) {
    const places = PLACES.filter((name) => found.in(name).has(id));
    const seen = {
      lists: JOB_STATUSES.filter((one) => found.in(`jobs:acme:${one}`).has(id)),
      listed: found.in('jobs:acme').has(id),
      ended: found.in('ended').has(id),
      // In two at most for a moment: of the tickets that follow, the newer one voids the older.
      goesOn: places.length > 0,
      called: (call ?? '') !== '',
    };
    const there = status !== undefined;
    const open = there && !isFinal(status);
    expect(seen, `${id} is ${status} and stands in ${places.join(', ') || 'no place'}`).toEqual({
      lists: there ? [status] : [],
      listed: there,
      ended: there && !open,
      goesOn: open,
      called: status === 'processing',
    });
    if (!open) expect(found.in('expiring').has(id)).toBe(false);
  }
  const there = found.jobs.filter(({ status }) => status !== undefined).length;
  expect(found.in('jobs:acme').size).toBe(there);
  const counts = JOB_STATUSES.map((status) => found.in(`jobs:acme:${status}`).size);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(there);
}

/** Each call in flight is the one call of its job, and what is reserved is what these calls are expected to cost. */
async function expectBooksInOrder(bench: Bench, found: Found): Promise<void> {
  expect(found.calls.map(({ id }) => id).sort()).toEqual([...found.in('slots')].sort());
  for (const { id, job } of found.calls) expect(found.jobs.find((one) => one.id === job)?.call).toBe(id);
  const books = await bench.books();
  const sum = (entries: readonly { readonly estimate: number }[]) =>
    entries.reduce((all, { estimate }) => all + estimate, 0);
  expect(books.reserved).toBe(sum(found.calls));
  expect(books.uncertain).toBe(sum(books.uncertainCalls.filter(({ resolved }) => !resolved)));
}

describe('after any steps of clients, workers and upkeep', () => {
  it('each job is in exactly one list of its status, waits in some place until it ends, and the books agree', async () => {
    await fc.assert(
      fc.asyncProperty(moves, async (taken) => {
        await using bench = await openBench();
        await bench.balance(1e12);
        const { ids, steps } = createActors(bench);
        for (let i = 0; i < 3; i++) await steps.create(i);
        for (const [step, n] of taken) {
          await steps[step](n);
          const found = await read(bench, ids);
          expectInOrder(found);
          await expectBooksInOrder(bench, found);
        }
      }),
      { numRuns: 40 },
    );
  });
});
