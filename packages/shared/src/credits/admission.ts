import type { Nanocredits } from './amount.ts';
import type { HoldName } from './hold.ts';

/** What is fixed for all calls of an installation. */
export interface CallLimits {
  /** Credits that are never spent. */
  readonly floor: Nanocredits;
  /** Calls in flight over all workers. */
  readonly slots: number;
  /** Calls in any minute over all workers. */
  readonly perMinute: number;
  /** After this long without an answer a call is given up; 30 s more, and it can no longer be billed. */
  readonly timeoutMs: number;
  /** How often a hold is tried. */
  readonly trialMs: number;
}

/** What the settings `CREDIT_FLOOR`, `CREDIT_LOW` and `CREDIT_RESUME` say. */
export interface LimitSettings {
  readonly floor: Nanocredits;
  readonly low: Nanocredits;
  readonly resume: Nanocredits;
}

/** The question put to {@link Ledger.admit}. */
export interface CallRequest {
  readonly job: string;
  /** Id of the call; asking again with the same id gives the same answer. */
  readonly call: string;
  readonly worker: string;
  readonly model: string;
  readonly costClass: string;
  /** Used until a cost of the class was seen. */
  readonly estimate: Nanocredits;
}

/** What was granted. `seq` and `startedAt` go back with the reading that the call's answer brings. */
export interface Grant {
  readonly verdict: 'go';
  readonly seq: number;
  readonly estimate: Nanocredits;
  readonly startedAt: number;
}

/** The answer of {@link Ledger.admit}. */
export type Verdict =
  | Grant
  | { readonly verdict: 'wait'; readonly reason: 'slot' | 'pace' | 'drain' | 'learn'; readonly ms: number }
  | { readonly verdict: 'hold'; readonly name: HoldName; readonly ms: number | undefined }
  /** The balance must be asked for before anybody can say. */
  | { readonly verdict: 'probe' }
  /** The job ended, was canceled, or has a call in flight. */
  | { readonly verdict: 'gone' };
