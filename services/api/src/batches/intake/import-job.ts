import type { BatchReport, ClassCount, RowsPart } from '@renderyard/shared/batch/batch';
import type { ReadOptions, RowPreview } from '../rows/read.ts';

/** One upload that is to be imported, in what can be sent to a thread. */
export interface ImportJob {
  readonly batch: string;
  /** Part of the names of the upload's parts. */
  readonly upload: string;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly filename: string | undefined;
}

/** How the rows of an upload are to be read. */
export interface ImportOptions {
  readonly read: ReadOptions;
  /** Reads and reports only; nothing is written. */
  readonly dryRun: boolean;
}

/** The bounds of every upload, from the settings. */
export interface ImportLimits {
  readonly mostBytes: number;
  readonly mostRows: number;
  readonly mostRowBytes: number;
}

/** What an upload was found to hold, and where its rows lie. */
export interface ImportResult {
  readonly source: {
    readonly format: 'csv' | 'ndjson' | 'json';
    readonly delimiter?: string;
    readonly filename?: string;
    /** Of the file, uncompressed. */
    readonly bytes: number;
    readonly sha256: string;
  };
  readonly columns: readonly string[];
  readonly text: Readonly<Record<string, number>>;
  readonly base: Readonly<Record<string, unknown>>;
  /** Accepted, and not accepted. */
  readonly rows: number;
  readonly rejected: number;
  /** Empty in a dry run. */
  readonly parts: readonly RowsPart[];
  readonly rejected_parts: readonly RowsPart[];
  readonly report: BatchReport;
  readonly classes: readonly ClassCount[];
  readonly preview: readonly RowPreview[];
  /** The options that the body held: fields of the form, members beside `items`. */
  readonly fields: Readonly<Record<string, unknown>>;
}
