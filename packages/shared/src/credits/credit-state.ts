import type { Nanocredits } from './amount.ts';

/**
 * What the account is like. `low`: less than `CREDIT_LOW` is left. `draining`: another image would go below the floor,
 * so calls in flight are let end and the balance is asked for. `held`: no call is made for want of credits.
 */
export type CreditStateName = 'open' | 'low' | 'draining' | 'held';

export type CreditEventType = 'credits.low' | 'credits.held' | 'credits.resumed';

/** Every way from one state to another, and why: states.lua moves along these only, docs/credits.md draws them. */
export const CREDIT_TRANSITIONS: readonly {
  readonly from: CreditStateName;
  readonly to: CreditStateName;
  readonly causes: readonly string[];
}[] = [
  { from: 'open', to: 'low', causes: ['below_low'] },
  { from: 'low', to: 'open', causes: ['recovered', 'upstream_changed'] },
  { from: 'open', to: 'draining', causes: ['floor_near'] },
  { from: 'low', to: 'draining', causes: ['floor_near'] },
  { from: 'draining', to: 'open', causes: ['enough', 'not_asked', 'upstream_changed'] },
  { from: 'draining', to: 'low', causes: ['enough', 'not_asked'] },
  { from: 'open', to: 'held', causes: ['refused', 'balance_unread'] },
  { from: 'low', to: 'held', causes: ['refused', 'balance_unread'] },
  { from: 'draining', to: 'held', causes: ['floor_reached', 'refused', 'balance_unread'] },
  { from: 'held', to: 'open', causes: ['enough', 'rendered', 'upstream_changed'] },
  { from: 'held', to: 'low', causes: ['enough', 'rendered'] },
];

/** A change of the state of credits. Those with a type are told to others; each has a type at most once. */
export interface CreditEvent {
  /** `evt_…`; the same for the same change, however often it is told. */
  readonly id: string;
  readonly type: CreditEventType | undefined;
  readonly from: CreditStateName;
  readonly to: CreditStateName;
  /** One of {@link CREDIT_TRANSITIONS}. */
  readonly cause: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly balance: Nanocredits | undefined;
  readonly floor: Nanocredits | undefined;
}
