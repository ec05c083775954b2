import type { Nanocredits } from '../credits/amount.ts';
import type { ClassCount } from './batch.ts';

/** What was learned of costs; see CreditState. */
export interface LearnedCosts {
  readonly estimates: ReadonlyMap<string, Nanocredits>;
  readonly ratios: ReadonlyMap<string, number>;
}

/** What the rows of a batch will cost in all: by what was learned of each class, else of the model, else by a guess. */
export function expectedCost(model: string, classes: readonly ClassCount[], learned: LearnedCosts): Nanocredits {
  const ratio = learned.ratios.get(model) ?? 1;
  const ofOne = ({ class: name, guess }: ClassCount) => learned.estimates.get(name) ?? Math.ceil(guess * ratio);
  return classes.reduce((sum, each) => sum + each.rows * ofOne(each), 0);
}

/** What can be spent and how fast, at one moment. */
export interface Means {
  /** Credits above the floor that no call in flight and no uncertain one lays claim to; undefined while not known. */
  readonly available: Nanocredits | undefined;
  /** Calls a minute that all workers may begin, and calls that may be in flight. */
  readonly perMinute: number;
  readonly slots: number;
}

/** What a batch still needs. */
export interface Need {
  /** Accepted rows, and those that have not ended. */
  readonly rows: number;
  readonly remaining: number;
  /** Of all rows; see {@link expectedCost}. */
  readonly expected: Nanocredits;
  /** What it has cost so far. */
  readonly spent: Nanocredits;
  /** Estimates of its calls in flight: the means have them set aside already. */
  readonly reserved: Nanocredits;
  readonly budget: Nanocredits | null;
  /** What the batch's API key may still spend, less what is set aside for its calls in flight; undefined without a budget. */
  readonly key: { readonly day: Nanocredits | undefined; readonly total: Nanocredits | undefined };
}

export interface Estimate {
  /** Of the rows that have not ended. */
  readonly cost: Nanocredits;
  /** Until they have, if nothing else runs. */
  readonly seconds: number;
  /** What would be left above the floor, negative for what is missing; undefined while the balance is not known. */
  readonly left: Nanocredits | undefined;
  /** The same of the budget; undefined without one. */
  readonly budgetLeft: Nanocredits | undefined;
  /** The same of the key's budget, for today (UTC) and in all. */
  readonly keyDayLeft: Nanocredits | undefined;
  readonly keyTotalLeft: Nanocredits | undefined;
  /** Whether all suffice; undefined while the balance is not known and the budgets suffice. */
  readonly fits: boolean | undefined;
}

/** What the rest of a batch will cost and how long it takes, as far as can be said. */
export function estimate(need: Need, means: Means): Estimate {
  const cost = need.rows === 0 ? 0 : Math.ceil(need.expected * (need.remaining / need.rows));
  const yetToReserve = Math.max(0, cost - need.reserved);
  const lessTheRest = (amount: Nanocredits | undefined) => (amount === undefined ? undefined : amount - yetToReserve);
  const left = lessTheRest(means.available);
  const keyDayLeft = lessTheRest(need.key.day);
  const keyTotalLeft = lessTheRest(need.key.total);
  const budgetLeft = need.budget === null ? undefined : need.budget - need.spent - cost;
  const tooLittle = (amount: Nanocredits | undefined) => amount !== undefined && amount < 0;
  return {
    cost,
    seconds: secondsFor(need.remaining, means),
    left,
    budgetLeft,
    keyDayLeft,
    keyTotalLeft,
    fits: [left, budgetLeft, keyDayLeft, keyTotalLeft].some(tooLittle) ? false : left === undefined ? undefined : true,
  };
}

/** How long one call is taken to last before any was seen: a guess, which counts only where there are few slots. */
const GUESSED_CALL_SECONDS = 12;

/** Which bound is met first, and how many rows a minute that allows. */
export function reachable({ perMinute, slots }: Pick<Means, 'perMinute' | 'slots'>): {
  readonly perMinute: number;
  readonly bound: 'rate' | 'concurrency';
} {
  const bySlots = (slots * 60) / GUESSED_CALL_SECONDS;
  return bySlots < perMinute ? { perMinute: bySlots, bound: 'concurrency' } : { perMinute, bound: 'rate' };
}

function secondsFor(rows: number, means: Pick<Means, 'perMinute' | 'slots'>): number {
  return rows === 0 ? 0 : Math.ceil((rows / reachable(means).perMinute) * 60);
}
