import type { CreditsView as Credits } from '@renderyard/api/credits/credits-schema';
import type { BatchView as Batch, DryRunView } from '@renderyard/shared/batch/batch-view';

/** What an upload was found to hold; also the answer of a dry run. */
export type Findings = Pick<DryRunView, 'counts' | 'estimate' | 'report'>;

/** What the demo reads of a batch. Times are RFC 3339, amounts credits, `rate` is in rows a minute. */
export type BatchView = Findings &
  Pick<
    Batch,
    'id' | 'name' | 'status' | 'hold' | 'cost' | 'uncertain' | 'rate' | 'eta' | 'created_at' | 'started_at' | 'ended_at'
  >;

/** One thing that is wrong with a row, or worth knowing of the file. */
export type RowProblem = BatchView['report']['warnings'][number];

/** The balance is null until it was read for the first time. */
export type CreditsView = Pick<Credits, 'balance' | 'floor'>;

/** What the demo reads of a line of `results.ndjson`. */
export interface ResultRow {
  readonly row: number;
  readonly line: number;
  readonly id: string | null;
  readonly status: string;
  readonly input: { readonly prompt: string; readonly [parameter: string]: unknown };
  readonly output: readonly {
    readonly key: string;
    readonly width: number;
    readonly height: number;
    readonly seed: number;
  }[];
  readonly error: { readonly code: string; readonly detail: string } | null;
  /** Credits. */
  readonly cost: number;
}
