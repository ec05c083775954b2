import type { BatchOptions, BatchReport, ClassCount, RowProblem } from '@renderyard/shared/batch/batch';
import type { RowRecord } from '@renderyard/shared/batch/row';
import type { Model } from '@renderyard/shared/model/model';

/** What an upload can be written in; TSV counts as CSV. */
export type RowFormat = 'csv' | 'ndjson' | 'json';

/** How an upload is to be read. `model` is the slug, which the caller has found. */
export type ReadOptions = BatchOptions & { readonly model: string };

export interface RowReaderSetup {
  readonly model: Model;
  readonly format: RowFormat;
  readonly options: ReadOptions;
  /** The header of CSV, decoded and otherwise as it stands; JSON has none. */
  readonly columns?: readonly string[];
  /** How many different keys the items of JSON may have, all items together. */
  readonly mostColumns?: number;
  /** `CREDIT_ESTIMATE`: credits for an image of 1024×1024 in 30 steps. */
  readonly creditEstimate: number;
  /** Draws a seed; one from 0 to 2,147,483,647 where it is left out. */
  readonly seed?: () => number;
}

/** What became of one record. A blank one is skipped and counted. */
export type Read =
  | { readonly kind: 'row'; readonly row: RowRecord }
  | {
      readonly kind: 'rejected';
      readonly line: number;
      /** The record as it was given, in the order of the columns. */
      readonly values: readonly unknown[];
      readonly problems: readonly RowProblem[];
    }
  | { readonly kind: 'blank' };

/** An accepted row as it will be rendered. */
export interface RowPreview {
  readonly row: number;
  readonly line: number;
  readonly id: string | null;
  readonly key: string;
  /** The body of the call, complete. */
  readonly input: Readonly<Record<string, unknown>>;
}

/** What an upload was found to hold. `columns`, `text` and `base` are as in the batch's record. */
export interface RowsRead {
  readonly columns: readonly string[];
  readonly text: Readonly<Record<string, number>>;
  readonly base: Readonly<Record<string, unknown>>;
  readonly report: BatchReport;
  readonly classes: readonly ClassCount[];
  /** The first accepted rows, at most 5. */
  readonly preview: readonly RowPreview[];
  readonly rows: number;
  readonly rejected: number;
}

/** Turns the records of one upload into rows, in their order. It does no I/O. */
export interface RowReader {
  /** One record of CSV. The array is kept: it must not be changed afterwards. */
  read(line: number, values: readonly string[]): Read;
  /**
   * One item of JSON or NDJSON, as `JSON.parse` gives it.
   *
   * @throws {UploadError} `too_many_columns`
   */
  readItem(line: number, item: unknown): Read;
  /** Rejects a record that does not even get here: it has the wrong number of fields, or is too long. */
  reject(line: number, values: readonly unknown[], problem: RowProblem): Read;
  /** Adds a warning to the report. Of each code the first is shown, and how many there were. */
  warn(warning: RowProblem): void;
  /**
   * To be called once, after the last record.
   *
   * @throws {UploadError} `unknown_column` when an option names a key that no item of the JSON has
   */
  finish(): RowsRead;
}
