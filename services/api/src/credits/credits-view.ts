import { type Nanocredits, toCredits } from '@renderyard/shared/credits/amount';
import type { BookEntry, CreditState, KeySpending, LimitInForce } from '@renderyard/shared/credits/credit-books';
import type { CreditLimit } from '@renderyard/shared/credits/credit-decision';
import { type Hold, holdReason } from '@renderyard/shared/credits/hold';
import type { CreditsView } from './credits-schema.ts';
import { runwaySeconds, spendingOf } from './spending.ts';
import { viewReconciliation, viewUncertain } from './uncertain-view.ts';

export interface ShownBooks {
  readonly state: CreditState;
  readonly limits: Readonly<Record<CreditLimit, LimitInForce>>;
  /** Of the hours since `firstHour`. */
  readonly entries: readonly BookEntry[];
  /** Names of the keys that are configured. */
  readonly keys: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

const time = (ms: number) => new Date(ms).toISOString();
const timeOrNull = (ms: number | undefined) => (ms === undefined ? null : time(ms));
const creditsOrNull = (amount: Nanocredits | undefined) => (amount === undefined ? null : toCredits(amount));

/** What the caller may know of. */
export interface Shown {
  readonly showJob: (job: string) => boolean;
  /** Of an account's spending, budgets and holds. */
  readonly showKey: (account: string) => boolean;
}

export function viewCredits(
  { state, limits, entries, keys, now }: ShownBooks,
  { showJob, showKey }: Shown,
): CreditsView {
  const { floor, low, resume } = limits;
  const available =
    state.balance === undefined ? undefined : state.balance - state.reserved - state.uncertain - floor.value;
  const spending = spendingOf(entries, now);
  return {
    object: 'credits',
    state: state.state,
    state_since: timeOrNull(state.stateSince),
    balance: creditsOrNull(state.balance),
    balance_read_at: timeOrNull(state.balanceReadAt),
    reserved: toCredits(state.reserved),
    available: creditsOrNull(available),
    ...{ floor: toCredits(floor.value), low: toCredits(low.value), resume: toCredits(resume.value) },
    limits: { floor: viewLimit(floor), low: viewLimit(low), resume: viewLimit(resume) },
    spent: toCredits(state.spent),
    spend: { hour: toCredits(spending.hour), day: toCredits(spending.day) },
    burn_rate: toCredits(spending.lastHour),
    runway_seconds: runwaySeconds(available, spending.lastHour) ?? null,
    in_flight: state.inFlight,
    costs: [...state.estimates].flatMap(([costClass, cost]) => viewCost(costClass, toCredits(cost))),
    keys: viewKeys(state, keys).filter(({ name }) => showKey(name)),
    holds: state.holds.map(viewHold).filter(({ key }) => key === null || showKey(key)),
    uncertain: viewUncertain(state, showJob),
    reconciliation: viewReconciliation(state.reconciliation),
  };
}

function viewLimit({ value, setting }: LimitInForce): CreditsView['limits']['floor'] {
  return { value: toCredits(value), setting: toCredits(setting), by_hand: value !== setting };
}

/** Those that are configured, and those that have spent or have a budget. */
function viewKeys(state: CreditState, configured: readonly string[]): CreditsView['keys'] {
  const names = [...new Set([...configured, ...state.keys.keys()])].sort();
  return names.map((name) => {
    const spending: KeySpending = state.keys.get(name) ?? { total: 0, day: 0, reserved: 0, budget: {} };
    const span = (spent: Nanocredits, budget: Nanocredits | undefined) => ({
      spent: toCredits(spent),
      budget: creditsOrNull(budget),
      left: budget === undefined ? null : toCredits(budget - spent - spending.reserved),
    });
    return {
      name,
      day: span(spending.day, spending.budget.day),
      total: span(spending.total, spending.budget.total),
      reserved: toCredits(spending.reserved),
      held: state.holds.some((hold) => hold.name === `key:${name}`),
    };
  });
}

function viewHold({ name, since, detail, until, trialAt }: Hold): CreditsView['holds'][number] {
  const after = (prefix: string) => (name.startsWith(prefix) ? name.slice(prefix.length) : null);
  return {
    reason: holdReason(name),
    model: after('model:'),
    key: after('key:'),
    since: time(since),
    detail,
    until: timeOrNull(until),
    next_trial_at: timeOrNull(trialAt),
  };
}

/** Takes a cost class apart; see `costClass` of the ledger's estimates. */
function viewCost(costClass: string, cost: number): CreditsView['costs'] {
  const match = /^(.+)\|(\d+)\|(\d+)x(\d+)$/.exec(costClass);
  if (match === null) return [];
  const [, model = '', steps, width, height] = match;
  return [{ model, steps: Number(steps), width: Number(width), height: Number(height), cost }];
}
