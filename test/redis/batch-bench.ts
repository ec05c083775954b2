import type { BatchDecision, BatchRecord } from '@renderyard/shared/batch/batch';
import type { BatchProgress, Flush } from '@renderyard/shared/batch/batch-states';
import { parseRowJobId, rowJobId } from '@renderyard/shared/batch/row';
import type { RowResult } from '@renderyard/shared/batch/row-result';
import { newId } from '@renderyard/shared/ids';
import type { AdoptedCall, JobEnd, RowEnd } from '@renderyard/shared/job/job-end';
import type { Ticket } from '@renderyard/shared/job/job-store';
import { type Asking, type Bench, COST, MODEL, openBench, TRIAL_MS } from './bench.ts';

export const FLUSH_LEASE_MS = 10_000;
/** Rows of a part, so that small batches have several. */
export const PART = 8;
export const ERROR = { code: 'upstream_rejected', detail: 'No.' } as const;
/** Results wait so long before they are due to be written, in milliseconds. */
export const FLUSH_AFTER_MS = 15_000;

/** What is said of a batch when it is made. */
export interface Opening {
  readonly account?: string;
  readonly model?: string;
  readonly decision?: Partial<BatchDecision>;
  readonly progress?: Partial<BatchProgress>;
}

export interface Call {
  readonly id: string;
  readonly job: string;
}

export type BatchBench = Awaited<ReturnType<typeof openBatchBench>>;
type Store = Map<string, Map<number, RowResult>>;
type End = Partial<Omit<JobEnd, 'job' | 'call'>> & Partial<NonNullable<JobEnd['call']>>;

/** A bench with batches: what workers do with rows, and a stand-in for the parts of results in the store. */
export async function openBatchBench() {
  const bench = await openBench();
  const { states, jobs } = bench;
  const records = new Map<string, BatchRecord>();
  const decisions = new Map<string, BatchDecision>();
  const written: Store = new Map();
  const of = (id: string) => {
    const decision = decisions.get(id);
    if (decision === undefined) throw new Error(`${id} was not opened here`);
    return decision;
  };

  const rows = {
    ...bench,
    written,
    records,
    /** Opens a batch. */
    async open(total: number, { account = 'acme', model = MODEL, decision, progress }: Opening = {}): Promise<string> {
      const id = newId('bat');
      records.set(id, recordOf(id, total, account, model));
      decisions.set(id, decisionOf(decision));
      written.set(id, new Map());
      await rows.reopen(id, progress);
      return id;
    },
    /** Opens a known batch with its latest decision. */
    async reopen(id: string, progress?: Partial<BatchProgress>): Promise<boolean> {
      const record = records.get(id);
      if (record === undefined) throw new Error(`${id} was not opened here`);
      return states.open(record, of(id), progress && { ...emptyProgress(), ...progress });
    },
    decision: of,
    /** Makes the next decision, which keeps what it does not change, but for a hold. */
    next(id: string, change: Partial<BatchDecision>): BatchDecision {
      const { hold: _, ...standing } = of(id);
      const paused = change.status === 'paused';
      const hold = { reason: 'batch_paused', since: 1, detail: 'Paused.' } as const;
      const decision = { ...standing, ...(paused ? { hold } : {}), ...change, seq: standing.seq + 1 };
      decisions.set(id, decision);
      return decision;
    },
    decide: (id: string, change: Partial<BatchDecision>) => states.decide(id, rows.next(id, change)),
    async state(id: string) {
      const state = await states.get(id);
      if (state === undefined) throw new Error(`${id} is not known`);
      return state;
    },
    /** The rows of these tickets, by batch. */
    rowsOf: (tickets: readonly Ticket[], batch: string) =>
      tickets
        .map(({ job }) => parseRowJobId(job))
        .filter((found) => found?.batch === batch)
        .map((found) => found?.row ?? 0),
    /** Claims a ticket. @returns the verdict, or that a call was lost. */
    async claim(ticket: Ticket) {
      const claim = await jobs.claim(ticket, TRIAL_MS);
      return claim.verdict === 'yours' && claim.lost !== undefined ? 'lost' : claim.verdict;
    },
    /** Makes a call for a row, whose ticket was claimed. @throws when it is not granted. */
    async begin(ticket: Ticket, asking: Asking = {}): Promise<Call> {
      const { id, job } = await bench.call({ job: ticket.job, ...asking });
      return { id, job };
    },
    /** What the end of a row needs, read as a worker reads it when it has claimed the row. */
    async rowEnd(job: string): Promise<RowEnd> {
      const place = parseRowJobId(job);
      if (place === undefined) throw new Error(`${job} is no row`);
      const part = partOf(place.row);
      const { run = 0 } = (await jobs.get(job)) ?? {};
      if (run === 0) return { part };
      const fresh = (await states.results(place.batch, part)).get(place.row);
      const result = fresh ?? written.get(place.batch)?.get(place.row);
      return result === undefined ? { part } : { part, previous: previousOf(result) };
    },
    /** Records the end of a row's call; what is not said is as for an image. */
    async endRow(call: Call, end: End & { readonly adopt?: AdoptedCall } = {}) {
      return bench.end(call, { row: await rows.rowEnd(call.job), ...end });
    },
    failRow: (call: Call, error: JobEnd['error'] = ERROR) =>
      rows.endRow(call, { status: 'failed', settlement: { kind: 'released' }, ...(error && { error }) }),
    /** Renders rows with these tickets to their end, one after the other. */
    async renderAll(tickets: readonly Ticket[], end: 'succeed' | 'fail' = 'succeed'): Promise<void> {
      for (const ticket of tickets) {
        if ((await rows.claim(ticket)) !== 'yours') throw new Error(`${ticket.job} is not to be rendered`);
        const call = await rows.begin(ticket);
        await (end === 'succeed' ? rows.endRow(call) : rows.failRow(call));
      }
    },
    /** Feeds, renders and writes until nothing more is due. */
    async runDry(window = 20): Promise<void> {
      for (;;) {
        const tickets = await jobs.takeTickets(window);
        if (tickets.length === 0) break;
        await rows.renderAll(tickets);
      }
      while (await rows.flush()) {
        // Until nothing is due.
      }
    },
    /** Writes the parts of a batch that another flush took. @returns whether all of it was ours. */
    async writeParts(flush: Flush): Promise<boolean> {
      for (const { part } of flush.parts) {
        const lines = await states.unwritten(flush.batch, part);
        const results = lines.map((line) => JSON.parse(line) as RowResult);
        if (!(await states.flushed(flush, part, lines))) return false;
        for (const result of results) written.get(flush.batch)?.set(result.row, result);
      }
      return true;
    },
    /** Writes a batch whose results are due, to its end if it ends. @returns whether there was one. */
    async flush(): Promise<boolean> {
      const flush = await states.takeFlush(FLUSH_LEASE_MS);
      if (flush === undefined) return false;
      if ((await rows.writeParts(flush)) && flush.ending && (await states.complete(flush, Date.now()))) return true;
      await states.endFlush(flush);
      return true;
    },
    /** All results, also those that wait to be written. */
    async results(id: string): Promise<ReadonlyMap<number, RowResult>> {
      const total = records.get(id)?.rows ?? 0;
      const all = new Map(written.get(id));
      for (let part = 0; part <= partOf(total); part++)
        for (const [row, result] of await states.results(id, part)) all.set(row, result);
      return all;
    },
    ticketOf: async (id: string, row: number): Promise<Ticket> => {
      const job = rowJobId(id, row);
      return { job, generation: (await jobs.get(job))?.ticket ?? -1 };
    },
  };
  return rows;
}

export const partOf = (row: number) => Math.floor((row - 1) / PART);

export function previousOf(result: RowResult): NonNullable<RowEnd['previous']> {
  const { attempts, uncertain, cost, started_at: startedAt } = result;
  return { attempts, uncertain, cost, startedAt };
}

/** How a call that an emptied Redis had granted is taken in. */
export function adoptedCall(over: Partial<AdoptedCall> = {}): AdoptedCall {
  const startedAt = Date.now() - 1000;
  return {
    worker: 'worker-1',
    account: 'acme',
    model: MODEL,
    costClass: 'class-a',
    estimate: COST,
    startedAt,
    resolveAfter: startedAt + 210_000,
    attempts: 1,
    ...over,
  };
}

/** Bits with these rows set. */
export function bitsOf(...rows: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(Math.max(0, ...rows) / 8));
  for (const row of rows) bytes[(row - 1) >> 3] = (bytes[(row - 1) >> 3] ?? 0) | (0x80 >> ((row - 1) & 7));
  return bytes;
}

/** The rows whose bits are set. */
export async function rowsIn(bench: Pick<Bench, 'redis' | 'prefix'>, id: string, name: 'ok' | 'failed' | 'again') {
  const bytes = (await bench.redis.getBuffer(`${bench.prefix}bits:${id}:${name}`)) ?? Buffer.alloc(0);
  const rows: number[] = [];
  for (let row = 1; row <= bytes.length * 8; row++)
    if (((bytes[(row - 1) >> 3] ?? 0) & (0x80 >> ((row - 1) & 7))) !== 0) rows.push(row);
  return rows;
}

function emptyProgress(): BatchProgress {
  return {
    succeeded: bitsOf(),
    failed: bitsOf(),
    again: bitsOf(),
    cursor: 0,
    counts: { succeeded: 0, failed: 0 },
    cost: 0,
    uncertain: 0,
    versions: new Map(),
    startedAt: undefined,
  };
}

function decisionOf(over: Partial<BatchDecision> = {}): BatchDecision {
  return { seq: 1, at: 1, status: 'running', runs: 0, name: null, budget: null, metadata: {}, ...over };
}

function recordOf(id: string, rows: number, account: string, model: string): BatchRecord {
  return {
    format: 1,
    id,
    account,
    created_at: 1,
    model,
    source: { format: 'csv', bytes: 0, sha256: '' },
    options: { on_invalid: 'skip' },
    columns: [],
    text: {},
    base: {},
    rows,
    upload: 'upload',
    parts: [],
    rejected_parts: [],
    report: { rejected: { count: 0, errors: [] }, warnings: [] },
    classes: [],
  };
}
