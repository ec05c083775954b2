import type { AuditChange } from '@renderyard/shared/audit-change';
import { type Nanocredits, toCredits } from '@renderyard/shared/credits/amount';
import {
  CREDIT_LIMITS,
  type CreditDecision,
  type CreditLimit,
  type KeyBudget,
} from '@renderyard/shared/credits/credit-decision';
import type { Hold } from '@renderyard/shared/credits/hold';
import type { CreditsPatch } from './credits-patch.ts';

/** What of a decision holds until another is made. */
export type CreditTerms = Pick<CreditDecision, 'limits' | 'hold' | 'budgets'>;

/** The credits as they were decided about last, and as they stand. */
export interface CreditStanding {
  readonly terms: CreditTerms;
  /** What CREDIT_FLOOR, CREDIT_LOW and CREDIT_RESUME say. */
  readonly settings: Readonly<Record<CreditLimit, Nanocredits>>;
  readonly holds: readonly Hold[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What is to hold from now on, and what that changes. */
export interface CreditOutcome extends Pick<CreditDecision, 'action' | 'changes'> {
  readonly terms: CreditTerms;
}

/** Undefined where all is as it shall be. */
export type CreditChange = (standing: CreditStanding) => CreditOutcome | undefined;

/** What was dropped before work goes on. */
export interface Dropped {
  readonly jobs: number;
  readonly batches: number;
}

/** The terms that hold: those of the last decision, less limits whose setting is another by now. */
export function creditTermsOf(
  last: CreditDecision | undefined,
  settings: CreditStanding['settings'],
): CreditStanding['terms'] {
  if (last === undefined) return { limits: {}, budgets: {} };
  const limits = Object.fromEntries(
    CREDIT_LIMITS.map((name) => [name, last.limits[name]] as const).filter(
      ([name, limit]) => limit !== undefined && limit.over === settings[name],
    ),
  ) as CreditTerms['limits'];
  return { limits, budgets: last.budgets, ...(last.hold === undefined ? {} : { hold: last.hold }) };
}

/** Sets limits and budgets, or takes them back. */
export function set(patch: CreditsPatch): CreditChange {
  return ({ terms, settings }) => {
    const { limits, changes: limitChanges } = setLimits(patch.limits, terms.limits, settings);
    const { budgets, changes: budgetChanges } = setBudgets(patch.budgets, terms.budgets);
    const changes = [...limitChanges, ...budgetChanges];
    return changes.length === 0 ? undefined : { action: 'set', changes, terms: { ...terms, limits, budgets } };
  };
}

/** Holds all work, or says anew why. */
export function hold(detail: string): CreditChange {
  return ({ terms, now }) => {
    if (terms.hold?.detail === detail) return undefined;
    const changes = [{ what: 'hold', from: terms.hold?.detail ?? null, to: detail }];
    return { action: 'hold', changes, terms: { ...terms, hold: { since: terms.hold?.since ?? now, detail } } };
  };
}

/** Ends the operator's hold, and has the causes of the others looked at. */
export function resume(dropped?: Dropped): CreditChange {
  return ({ terms: { hold: decided, ...terms }, holds }) => {
    const operator = decided ?? holds.find(({ name }) => name === 'operator');
    const tried = holds.filter(isTriedByHand).map(({ name }) => name);
    const changes: AuditChange[] = [];
    if (operator !== undefined) changes.push({ what: 'hold', from: operator.detail, to: null });
    if (dropped !== undefined && isSome(dropped)) changes.push(droppedChange(dropped));
    if (tried.length > 0) changes.push({ what: 'tried', from: null, to: tried });
    return changes.length === 0 ? undefined : { action: 'resume', changes, terms };
  };
}

export function isSome({ jobs, batches }: Dropped): boolean {
  return jobs + batches > 0;
}

export function droppedChange({ jobs, batches }: Dropped): AuditChange {
  return { what: 'backlog', from: null, to: { jobs, batches } };
}

/** Holds whose cause is looked at as soon as somebody resumes; see resume.lua. */
function isTriedByHand({ name, trialAt }: Hold): boolean {
  return name !== 'operator' && (trialAt !== undefined || name === 'credits' || name === 'unauthorized');
}

function setLimits(patch: CreditsPatch['limits'], before: CreditTerms['limits'], settings: CreditStanding['settings']) {
  const limits: { -readonly [name in CreditLimit]?: CreditTerms['limits'][name] } = { ...before };
  const changes: AuditChange[] = [];
  for (const name of CREDIT_LIMITS) {
    const given = patch[name];
    if (given === undefined) continue;
    const from = before[name]?.value ?? settings[name];
    const value = given ?? settings[name];
    // One that is as its setting is would end with it, which is what the setting does.
    if (value === settings[name]) delete limits[name];
    else limits[name] = { value, over: settings[name] };
    if (value !== from) changes.push({ what: name, from: toCredits(from), to: toCredits(value) });
  }
  return { limits, changes };
}

function setBudgets(patch: CreditsPatch['budgets'], before: CreditTerms['budgets']) {
  const budgets = new Map<string, KeyBudget>(Object.entries(before));
  const changes: AuditChange[] = [];
  for (const [key, given] of patch) {
    const budget: { day?: Nanocredits; total?: Nanocredits } = { ...budgets.get(key) };
    for (const span of ['day', 'total'] as const) {
      const amount = given[span];
      const from = budget[span] ?? null;
      if (amount === undefined || amount === from) continue;
      if (amount === null) delete budget[span];
      else budget[span] = amount;
      changes.push({ what: `budgets.${key}.${span}`, from: creditsOrNull(from), to: creditsOrNull(amount) });
    }
    if (Object.keys(budget).length === 0) budgets.delete(key);
    else budgets.set(key, budget);
  }
  return { budgets: Object.fromEntries(budgets), changes };
}

const creditsOrNull = (amount: Nanocredits | null) => (amount === null ? null : toCredits(amount));
