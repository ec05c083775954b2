import { parseRowJobId } from '@renderyard/shared/batch/row';
import type { RowEnd, Settlement } from '@renderyard/shared/job/job-end';
import { expect } from 'vitest';
import { adoptedCall, type BatchBench, ERROR, partOf, previousOf, rowsIn } from './batch-bench.ts';
import { COST } from './bench.ts';

export interface Telling {
  readonly status: 'succeeded' | 'failed' | 'queued' | 'parked';
  readonly settlement: Settlement;
  readonly counted?: boolean;
}

export interface ModelCall {
  readonly id: string;
  readonly job: string;
  readonly estimate: number;
  /** How it ends, if its worker lives to tell: whoever tells it again tells the same. */
  readonly outcome: Telling;
  /** It was granted by a Redis that was emptied since. */
  readonly adopted?: boolean;
  /** What it has cost its job by what was told of it so far. */
  charged: number;
  /** What it has cost the account. */
  spent: number;
  told: 'nothing' | 'uncertain' | 'all';
}

export const OUTCOMES: readonly Telling[] = [
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
export const IMAGE = OUTCOMES[0] as Telling;

/** What must be true of a row, by what was done with it. */
export interface ModelRow {
  attempts: number;
  uncertain: number;
  cost: number;
  /** It ended, and no retry was asked for since. */
  ended: 'succeeded' | 'failed' | undefined;
}

export const isRow = (job: string) => parseRowJobId(job) !== undefined;

/** What the books and the results must say, by the calls that were made and by what was told of them. */
export function createBatchModel(bench: BatchBench) {
  const calls: ModelCall[] = [];
  const rows = new Map<string, ModelRow>();
  const rowOf = (job: string): ModelRow => {
    const row = rows.get(job) ?? { attempts: 0, uncertain: 0, cost: 0, ended: undefined };
    rows.set(job, row);
    return row;
  };

  /** As a worker knows it that has claimed the row, perhaps before Redis was emptied. */
  async function rowEndOf(call: ModelCall, known: boolean): Promise<RowEnd> {
    const { batch, row } = parseRowJobId(call.job) ?? { batch: '', row: 0 };
    if (known || call.adopted !== true) return bench.rowEnd(call.job);
    const result = (await bench.results(batch)).get(row);
    return { part: partOf(row), ...(result === undefined ? {} : { previous: previousOf(result) }) };
  }

  /** Whether a call that an emptied Redis had granted takes its row with it. */
  async function takesRow(job: string): Promise<boolean> {
    const { batch } = parseRowJobId(job) ?? { batch: '' };
    const { status } = await bench.state(batch);
    return rowOf(job).ended === undefined && status !== 'completed' && status !== 'canceled';
  }

  /** Whether a row was given back with calls that it has been charged for: a further one comes after them. */
  async function waitsWithCalls(job: string): Promise<boolean> {
    const { batch } = parseRowJobId(job) ?? { batch: '' };
    return (await bench.redis.sismember(`${bench.prefix}kept:${batch}`, job)) === 1;
  }

  async function isCanceling(job: string): Promise<boolean> {
    return (await bench.state(parseRowJobId(job)?.batch ?? '')).status === 'canceling';
  }

  /** Records the end of a call, and notes what must have come of it. */
  async function tell(call: ModelCall, telling: Telling): Promise<void> {
    const { settlement } = telling;
    const uncertain = settlement.kind === 'uncertain';
    const known = (await bench.redis.exists(`${bench.prefix}job:${call.job}`)) === 1;
    const first = call.told === 'nothing';
    const waits = known && (await waitsWithCalls(call.job));
    const taken = call.adopted === true && first && (waits || (!known && (await takesRow(call.job))));
    const row = isRow(call.job) ? await rowEndOf(call, known) : undefined;
    // Of a row that was dropped with its batch nobody knows any more what it came to since it ended last.
    if (taken && !waits && (await isCanceling(call.job)))
      Object.assign(rowOf(call.job), { attempts: 0, uncertain: 0, cost: 0 }, row?.previous);
    const answer = await bench.end(call, {
      ...telling,
      row,
      ...(telling.status === 'failed' ? { error: ERROR } : {}),
      ...(uncertain ? { uncertain: 'limited' as const } : {}),
      ...(call.adopted === true ? { adopt: adoptedCall({ estimate: call.estimate }) } : {}),
    });
    const charge = settlement.kind === 'spent' ? (settlement.cost ?? call.estimate) : uncertain ? call.estimate : 0;
    const before = call.charged;
    if (first || (call.told === 'uncertain' && !uncertain)) {
      // Where its row has ended without it, its image was found, and counted as that was.
      call.charged = call.adopted === true && !known && !taken ? 0 : charge;
      call.told = uncertain ? 'uncertain' : 'all';
      call.spent = uncertain ? 0 : charge;
    }
    if (!isRow(call.job)) return;
    const model = rowOf(call.job);
    if (taken) model.attempts++;
    if (known || taken) model.cost += call.charged - before;
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

  async function expectAllWritten(id: string): Promise<void> {
    const written = bench.written.get(id);
    for (const [job, { ended }] of rows) {
      const place = parseRowJobId(job);
      if (place?.batch === id && ended !== undefined) expect(written?.get(place.row)?.status, job).toBe(ended);
    }
  }

  return {
    calls,
    rows,
    rowOf,
    tell,
    expectAllWritten,
    /** What batches cost, what is reserved, and what has ended, by what was done. */
    async expectBooksInOrder(batches: readonly string[]): Promise<void> {
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
      const spent = calls.reduce((sum, call) => sum + call.spent, 0);
      expect(await bench.books()).toMatchObject({ reserved, spent });
    },
  };
}
