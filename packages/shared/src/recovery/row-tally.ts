import type { BatchDecision, BatchRecord } from '../batch/batch.ts';
import type { BatchProgress, BegunRow } from '../batch/batch-states.ts';
import type { RowResult } from '../batch/row-result.ts';
import type { Nanocredits } from '../credits/amount.ts';
import { createRowBits } from './row-bits.ts';

/** A call of a row whose outcome is unknown. */
export interface UncertainCall {
  readonly call: string;
  readonly estimate: Nanocredits;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Whether it counts against `UNCERTAIN_RETRIES`. */
  readonly limited: boolean;
}

/** Calls of rows whose outcome is unknown, oldest first. */
export type UncertainRows = ReadonlyMap<number, readonly UncertainCall[]>;

export type RowTally = ReturnType<typeof createRowTally>;

/** Adds up how far a batch has come, result by result, in any order. */
export function createRowTally(
  { rows }: Pick<BatchRecord, 'rows'>,
  { runs }: Pick<BatchDecision, 'runs'>,
  uncertainRows: UncertainRows = new Map(),
) {
  const succeeded = createRowBits(rows);
  const failed = createRowBits(rows);
  /** Failed in an earlier run, and to be rendered again. */
  const due = createRowBits(rows);
  const counts = { succeeded: 0, failed: 0 };
  const untold = new Map([...uncertainRows].filter(([row]) => row >= 1 && row <= rows));
  let [cost, uncertain, highest] = [0, 0, Math.max(0, ...untold.keys())];
  let startedAt: number | undefined;

  return {
    /** Rows that have not ended, and were never told of. */
    isFresh: (row: number) => !succeeded.has(row) && !failed.has(row) && !due.has(row),
    isDueAgain: (row: number) => due.has(row),
    /** Calls of a row of which no result tells, so far. */
    untold: (row: number): readonly UncertainCall[] => untold.get(row) ?? [],
    get highest() {
      return highest;
    },

    /**
     * Counts a result. `before` is the one of an earlier run that it takes the place of, if that was counted; `call` is
     * one whose outcome is known by it.
     */
    add(result: RowResult, before?: RowResult, call?: string): void {
      const { row } = result;
      highest = Math.max(highest, row);
      cost += result.cost - (before?.cost ?? 0);
      uncertain += result.uncertain - (before?.uncertain ?? 0);
      const calls = uncertainRows.get(row);
      if (calls !== undefined) untold.set(row, calls.filter((each) => each.call !== call).slice(result.uncertain));
      if (result.started_at !== null) startedAt = Math.min(startedAt ?? Infinity, result.started_at);
      due.drop(row);
      if (result.status === 'succeeded') {
        succeeded.add(row);
        counts.succeeded++;
      } else if (result.run >= runs) {
        failed.add(row);
        counts.failed++;
      } else due.add(row);
    },

    progress(versions: ReadonlyMap<number, number>): BatchProgress {
      const again = createRowBits(rows);
      for (let row = 1; row <= highest; row++) if (!succeeded.has(row) && !failed.has(row)) again.add(row);
      // Of these calls no result tells: their rows have not ended, or ended in a Redis that had forgotten them.
      const calls = [...untold.values()].flat();
      return {
        succeeded: succeeded.bytes,
        failed: failed.bytes,
        again: again.bytes,
        cursor: highest,
        counts: { ...counts },
        cost: calls.reduce((sum, { estimate }) => sum + estimate, cost),
        uncertain: uncertain + calls.length,
        versions,
        startedAt,
        begun: [...untold].flatMap(([row, of]) => (again.has(row) && of.length > 0 ? [begunRow(row, of)] : [])),
      };
    },
  };
}

function begunRow(row: number, calls: readonly UncertainCall[]): BegunRow {
  return {
    row,
    calls: calls.length,
    limited: calls.filter(({ limited }) => limited).length,
    cost: calls.reduce((sum, { estimate }) => sum + estimate, 0),
    startedAt: Math.min(...calls.map(({ startedAt }) => startedAt)),
  };
}
