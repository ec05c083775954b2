import type { Nanocredits } from '@renderyard/shared/credits/amount';
import { CREDIT_LIMITS, type CreditLimit } from '@renderyard/shared/credits/credit-decision';
import { Type } from 'typebox';
import { CREDITS_RANGE, MOST_CREDITS, readCreditsAmount } from '../body/read-credits-amount.ts';
import { invalidRequest, type PartProblem, pointer } from '../errors/problem-error.ts';

/** Null: back to the setting. What is left out stays. */
export type LimitsPatch = { readonly [name in CreditLimit]?: Nanocredits | null };
/** Null: no such budget. What is left out stays. */
export interface BudgetPatch {
  readonly day?: Nanocredits | null;
  readonly total?: Nanocredits | null;
}
export interface CreditsPatch {
  readonly limits: LimitsPatch;
  /** By name of the API key. */
  readonly budgets: ReadonlyMap<string, BudgetPatch>;
}

const LimitSchema = (setting: string) =>
  Type.Optional(
    Type.Union([Type.Number({ minimum: 0, maximum: MOST_CREDITS }), Type.Null()], {
      description: `Credits, in the place of ${setting}; null for that setting.`,
    }),
  );
const BudgetSchema = (span: string) =>
  Type.Optional(
    Type.Union([Type.Number({ minimum: 0, maximum: MOST_CREDITS }), Type.Null()], {
      description: `Credits ${span}; 0: nothing may be spent; null for no budget.`,
    }),
  );
const KeyBudgetSchema = Type.Object(
  { day: BudgetSchema('a day, in UTC'), total: BudgetSchema('in all') },
  { additionalProperties: false },
);

/** The body of a PATCH, for the documentation; {@link readCreditsPatch} checks it, with better words. */
export const CreditsPatchSchema = Type.Object(
  {
    floor: LimitSchema('CREDIT_FLOOR'),
    low: LimitSchema('CREDIT_LOW'),
    resume: LimitSchema('CREDIT_RESUME'),
    budgets: Type.Optional(
      Type.Record(Type.String(), Type.Union([KeyBudgetSchema, Type.Null()]), {
        description: 'What the jobs of an API key may spend, by its name. Keys that are left out keep theirs.',
      }),
    ),
  },
  { additionalProperties: false },
);
const FIELDS = Object.keys(CreditsPatchSchema.properties);
const SPANS = ['day', 'total'] as const;

/**
 * @param keys names of the API keys that are known.
 * @throws {ProblemError} `invalid_request` with everything that is wrong.
 */
export function readCreditsPatch(body: unknown, keys: readonly string[]): CreditsPatch {
  const problems: PartProblem[] = [];
  const fields = readFields(body, { at: '', known: FIELDS, what: 'The body' }, problems);
  const limits: { [name in CreditLimit]?: Nanocredits | null } = {};
  for (const name of CREDIT_LIMITS) {
    if (fields[name] === undefined) continue;
    const instead = `null for the setting CREDIT_${name.toUpperCase()}`;
    const amount = readAmount(fields[name], { at: pointer('', name), name, instead }, problems);
    if (amount !== undefined) limits[name] = amount;
  }
  const budgets = new Map<string, BudgetPatch>();
  if (fields.budgets !== undefined) {
    const byKey = readFields(fields.budgets, { at: '/budgets', what: 'budgets' }, problems);
    for (const [key, given] of Object.entries(byKey)) {
      if (keys.includes(key)) budgets.set(key, readBudget(given, key, problems));
      else problems.push(unknownKey(key, keys));
    }
  }
  if (problems.length > 0) throw invalidRequest(problems);
  return { limits, budgets };
}

/** The members of an object, none where the value is no object. @param known names that it may have; left out: any. */
function readFields(
  value: unknown,
  { at, known, what }: { readonly at: string; readonly known?: readonly string[]; readonly what: string },
  problems: PartProblem[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const holds = known === undefined ? 'with names of API keys' : `with what is to change: ${known.join(', ')}`;
    const code = value === undefined ? 'required' : 'wrong_type';
    problems.push({ pointer: at, code, detail: `${what} must be a JSON object ${holds}.` });
    return {};
  }
  for (const name of Object.keys(value)) {
    if (known === undefined || known.includes(name)) continue;
    const shown = JSON.stringify(name.slice(0, 80).toWellFormed());
    problems.push({
      pointer: pointer(at, name),
      code: 'unknown_field',
      detail: `There is no field ${shown}; known here: ${known.join(', ')}.`,
    });
  }
  return value as Record<string, unknown>;
}

function readBudget(value: unknown, key: string, problems: PartProblem[]): BudgetPatch {
  if (value === null) return { day: null, total: null };
  const at = pointer('/budgets', key);
  const fields = readFields(value, { at, known: SPANS, what: `budgets.${key}` }, problems);
  const budget: { day?: Nanocredits | null; total?: Nanocredits | null } = {};
  for (const span of SPANS) {
    if (fields[span] === undefined) continue;
    const name = `budgets.${key}.${span}`;
    const amount = readAmount(fields[span], { at: pointer(at, span), name, instead: 'null for no budget' }, problems);
    if (amount !== undefined) budget[span] = amount;
  }
  return budget;
}

/** @returns undefined for what is wrong. */
function readAmount(
  value: unknown,
  { at, name, instead }: { readonly at: string; readonly name: string; readonly instead: string },
  problems: PartProblem[],
): Nanocredits | null | undefined {
  if (value === null) return null;
  const amount = readCreditsAmount(value);
  if (typeof amount === 'number') return amount;
  problems.push({
    pointer: at,
    code: amount,
    detail: `${name} must be a number of credits from 0 to ${CREDITS_RANGE}, such as 2.5, or ${instead}.`,
  });
  return undefined;
}

function unknownKey(key: string, keys: readonly string[]): PartProblem {
  const shown = JSON.stringify(key.slice(0, 80).toWellFormed());
  const known =
    keys.length === 1 ? `The only one is ${keys[0]}` : `There are ${keys.join(', ')} (names of RENDERYARD_API_KEYS)`;
  return {
    pointer: pointer('/budgets', key),
    code: 'unknown_field',
    detail: `There is no API key named ${shown}. ${known}.`,
  };
}
