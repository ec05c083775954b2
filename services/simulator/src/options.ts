import type { FaultRule } from './fault-rules.ts';

/** How a simulator behaves. Every option has a default; amounts are credits, as numbers or as exact decimal texts. */
export interface SimulatorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 0: a free port. */
  readonly port?: number | undefined;
  /** Default 10. */
  readonly balance?: number | string | undefined;
  /** Free credits on top, which are used up first. Default 0. */
  readonly freeCredits?: number | string | undefined;
  /** Lets calls in flight draw the balance below zero together. Default false: each holds its cost while it renders. */
  readonly overdraft?: boolean | undefined;
  /**
   * Most that is billed in all. A call that would bring what was billed, with what calls in flight will cost, above it gets
   * 406 with the message about the team's limit; a cheaper one may still pass. Default: no limit.
   */
  readonly spendLimit?: number | string | undefined;
  /** For 30 steps at 1024 x 1024. Default 0.0138. */
  readonly price?: number | string | undefined;
  /** Costs vary evenly by up to this share, 0 to 0.9. Default 0. */
  readonly priceNoise?: number | undefined;
  /** The median of a render's time in milliseconds. Default 0. */
  readonly latencyMs?: number | undefined;
  /** The 95th percentile, at least the median; left out, all renders take the median. */
  readonly latencyP95Ms?: number | undefined;
  readonly coldStartMs?: number | undefined;
  /** Default 300,000. */
  readonly coldAfterMs?: number | undefined;
  /** Calls a minute; default: no limit. */
  readonly rateLimit?: number | undefined;
  /** The keys that work; default: any that begins with `SG_`. */
  readonly keys?: readonly string[] | undefined;
  /** Known models. Default: stable-diffusion-3.5-large-txt2img. */
  readonly models?: readonly string[] | undefined;
  readonly retiredModels?: readonly string[] | undefined;
  readonly faults?: readonly FaultRule[] | undefined;
  /** Seeds costs, latencies, faults and random seeds. Default 1. */
  readonly seed?: number | undefined;
  /** Entries kept of the ledger and of the calls, each. Default 200,000. */
  readonly logEntries?: number | undefined;
  /** Bytes that each of the two may take. Default 256 MiB. */
  readonly logBytes?: number | undefined;
  /** The control endpoints and the page. Default true. */
  readonly control?: boolean | undefined;
}

export const DEFAULT_MODEL = 'stable-diffusion-3.5-large-txt2img';
export const DEFAULT_BALANCE = 10;
export const DEFAULT_PRICE = '0.0138';
export const DEFAULT_LOG_ENTRIES = 200_000;
export const DEFAULT_LOG_BYTES = 256 * 1024 * 1024;
