import type { Nanocredits } from '../credits/amount.ts';

/** An object of a batch, and what proves it whole. */
export interface ManifestObject {
  readonly key: string;
  readonly rows: number;
  readonly bytes: number;
  /** Of the stored bytes, in hex. */
  readonly sha256: string;
}

/** The object `manifest.json`: the batch has ended, and this is all of it. Times are milliseconds since 1970. */
export interface BatchManifest {
  readonly format: 1;
  readonly batch: string;
  readonly status: 'completed' | 'canceled';
  readonly counts: {
    /** Accepted rows; those which succeeded, failed and were canceled add up to it. */
    readonly total: number;
    readonly rejected: number;
    readonly succeeded: number;
    readonly failed: number;
    readonly canceled: number;
  };
  readonly cost: Nanocredits;
  /** Calls whose outcome is unknown. */
  readonly uncertain: number;
  /** How often its failed rows were retried. */
  readonly runs: number;
  readonly name: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly created_at: number;
  /** Null when no call was made. */
  readonly started_at: number | null;
  readonly ended_at: number;
  readonly record: { readonly key: string; readonly sha256: string };
  readonly rows: readonly ManifestObject[];
  readonly rejected: readonly ManifestObject[];
  /** In the order of the rows. Parts none of whose rows was rendered have none. */
  readonly results: readonly (ManifestObject & { readonly part: number; readonly version: number })[];
  readonly checksums: {
    readonly key: string;
    readonly images: number;
    readonly bytes: number;
    readonly sha256: string;
  };
}
