import type { AuditChange } from '../audit-change.ts';
import type { Nanocredits } from './amount.ts';

/** The limits of the installation that can be set by hand: CREDIT_FLOOR, CREDIT_LOW and CREDIT_RESUME. */
export const CREDIT_LIMITS = ['floor', 'low', 'resume'] as const;
export type CreditLimit = (typeof CREDIT_LIMITS)[number];

/** A limit that was set by hand. */
export interface DecidedLimit {
  readonly value: Nanocredits;
  /** The setting that it took the place of. It holds as long as that setting is what it was. */
  readonly over: Nanocredits;
}

/** What the jobs of an API key may spend: in a day of UTC, and in all. 0: nothing. */
export interface KeyBudget {
  readonly day?: Nanocredits;
  readonly total?: Nanocredits;
}

/**
 * What was decided by hand about the credits of the installation, all of it, and what the last decision changed. Each is
 * an object of its own in the store, created and never replaced; the one with the highest `seq` holds.
 */
export interface CreditDecision {
  /** From 1; each is higher than the one before. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The account that decided. */
  readonly by: string;
  readonly action: 'set' | 'hold' | 'resume';
  readonly changes: readonly AuditChange[];
  readonly limits: Readonly<Partial<Record<CreditLimit, DecidedLimit>>>;
  /** An operator holds all work. `detail` is public, `since` in milliseconds since 1970. */
  readonly hold?: { readonly since: number; readonly detail: string };
  /** By name of the API key. */
  readonly budgets: Readonly<Record<string, KeyBudget>>;
}

export const creditDecisionsPrefix = 'credits/decisions/';
export const creditDecisionKey = (seq: number) => `${creditDecisionsPrefix}${String(seq).padStart(6, '0')}.json`;

/** The `seq` that a key of {@link creditDecisionKey} names. */
export function parseCreditDecisionKey(key: string): number | undefined {
  const match = /^credits\/decisions\/(\d{6,15})\.json$/.exec(key);
  return match === null ? undefined : Number(match[1]);
}
