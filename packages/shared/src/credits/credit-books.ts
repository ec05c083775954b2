import type { Nanocredits } from './amount.ts';
import type { KeyBudget } from './credit-decision.ts';
import type { CreditStateName } from './credit-state.ts';
import type { Hold } from './hold.ts';

/** A call whose outcome is unknown. Times in milliseconds since 1970. */
export interface UncertainCall {
  readonly call: string;
  readonly job: string;
  readonly account: string | undefined;
  readonly model: string | undefined;
  readonly startedAt: number;
  /** When it was found out. */
  readonly at: number;
  /** How it broke: `lost_worker`, `timeout`, `cut`, … */
  readonly how: string;
  readonly estimate: Nanocredits;
  /** Whether a later balance already holds what it cost, so that it no longer counts against what is available. */
  readonly resolved: boolean;
  /** From then on it is billed no more. */
  readonly billableUntil: number;
  /** `net` of the {@link Reconciliation} when it was found out; undefined where the balance was not exact before. */
  readonly balanceNet: Nanocredits | undefined;
  /** The same when the balance was exact for the first time after it could no longer be billed; undefined until then. */
  readonly balanceNetThen: Nanocredits | undefined;
}

/** A value that decides about calls: what holds, and what the workers' setting says. */
export interface LimitInForce {
  readonly value: Nanocredits;
  readonly setting: Nanocredits;
}

/** What an API key has spent. */
export interface KeySpending {
  readonly total: Nanocredits;
  /** Today, in UTC. */
  readonly day: Nanocredits;
  /** Estimates of its calls in flight, and of lost ones that are not charged yet. */
  readonly reserved: Nanocredits;
  readonly budget: KeyBudget;
}

/** Our books beside the balance, from one exact reading to the next. Times in milliseconds since 1970. */
export interface Comparison {
  readonly from: number;
  readonly at: number;
  /** The balance at `from`, and at `at`. */
  readonly before: Nanocredits;
  readonly read: Nanocredits;
  readonly spent: Nanocredits;
  /** `before` less `spent` less `read`: what went without our knowing; negative for what was added. */
  readonly difference: Nanocredits;
}

export interface Reconciliation {
  readonly last: Comparison | undefined;
  /** The latest 100 with a difference, newest first. */
  readonly differences: readonly Comparison[];
  /** Sum of all differences, and of the two kinds. */
  readonly net: Nanocredits;
  readonly unexplained: Nanocredits;
  readonly added: Nanocredits;
}

/** The books at one moment. */
export interface CreditState {
  readonly state: CreditStateName;
  /** Milliseconds since 1970; undefined where it never was another. */
  readonly stateSince: number | undefined;
  readonly balance: Nanocredits | undefined;
  readonly balanceReadAt: number | undefined;
  readonly reserved: Nanocredits;
  readonly uncertain: Nanocredits;
  readonly spent: Nanocredits;
  readonly inFlight: number;
  readonly holds: readonly Hold[];
  readonly uncertainCalls: readonly UncertainCall[];
  /** What a call of a class is expected to cost, learned. Keys as `costClass` makes them. */
  readonly estimates: ReadonlyMap<string, Nanocredits>;
  /** How many times its first guess a call of a model is expected to cost, from 1: for classes that were not seen yet. */
  readonly ratios: ReadonlyMap<string, number>;
  /** Undefined where no worker has told its settings and nothing was set by hand. */
  readonly limits: Readonly<Record<'floor' | 'low' | 'resume', LimitInForce | undefined>>;
  /** `seq` of the decision in force; 0 for none. */
  readonly decision: number;
  /** Of every account that has spent or has a budget. */
  readonly keys: ReadonlyMap<string, KeySpending>;
  readonly reconciliation: Reconciliation;
}

/** What an account has spent for a batch, or for single jobs, in an hour. */
export interface BookEntry {
  /** Hours since 1970. */
  readonly hour: number;
  readonly account: string;
  readonly batch: string | undefined;
  readonly credits: Nanocredits;
  readonly images: number;
}

/** The books of one day (UTC) in the store: what Redis has of them, and what every key has spent in all by then. */
export interface NotedBooks {
  /** What the credits were spent at. */
  readonly upstream?: string;
  /** Hours since 1970 → entries, as books.lua keeps them. */
  readonly hours: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly keys: Readonly<Record<string, string>>;
}

/** So many days of books are kept. */
export const BOOKS_DAYS = 35;
