import { Value } from 'typebox/value';
import { drawSeed } from '../ids.ts';
import type { Model } from './model.ts';

/** One thing that is wrong with an input. `parameter` is empty when the input as a whole is. */
export interface InputProblem {
  readonly parameter: string;
  readonly code: 'required' | 'unknown_parameter' | 'wrong_type' | 'out_of_range' | 'invalid_format';
  /** What is wrong and what would be right. */
  readonly detail: string;
}

export type CheckedInput =
  | { readonly ok: true; readonly input: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly problems: readonly InputProblem[] };

interface ParameterSchema {
  readonly type?: string;
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly description?: string;
}

/**
 * Checks what a user gave against the model's parameters and fills in every default, so that the result is the body
 * of the call as it will be sent. A seed that is left out, `"random"` or -1 is drawn here, so that the render can be
 * repeated; upstream would use the same fixed seed for every image.
 */
export function checkInput(
  model: Model,
  given: Readonly<Record<string, unknown>>,
  seed: () => number = drawSeed,
): CheckedInput {
  const schemas = model.parameters.properties as unknown as Readonly<Record<string, ParameterSchema>>;
  const required = new Set<string>((model.parameters.required ?? []) as string[]);
  const problems: InputProblem[] = [];
  const input: Record<string, unknown> = {};

  for (const name of Object.keys(given)) {
    if (problems.length === MOST_PROBLEMS) break;
    if (!Object.hasOwn(schemas, name)) problems.push(unknownParameter(name, Object.keys(schemas)));
  }
  for (const [name, schema] of Object.entries(schemas)) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (name === model.seed && (value === undefined || value === null || value === 'random' || value === -1)) {
      input[name] = seed();
    } else if (value === undefined || value === null) {
      if (schema.default !== undefined) input[name] = schema.default;
      else if (required.has(name))
        problems.push({
          parameter: name,
          code: 'required',
          detail: `${name} is required: ${expected(name, schema, model)}.`,
        });
    } else {
      const problem = checkValue(name, value, schema, model);
      if (problem === undefined) input[name] = value;
      else problems.push(problem);
    }
  }
  return problems.length > 0 ? { ok: false, problems: problems.slice(0, MOST_PROBLEMS) } : { ok: true, input };
}

/** More than this many problems of one input help nobody. */
const MOST_PROBLEMS = 20;

function checkValue(name: string, value: unknown, schema: ParameterSchema, model: Model): InputProblem | undefined {
  if (typeof value === 'string' && !value.isWellFormed()) {
    return {
      parameter: name,
      code: 'invalid_format',
      detail: `${name} holds half of a surrogate pair, which no encoding can carry.`,
    };
  }
  if (Value.Check(schema as never, value)) return undefined;
  const code = !hasType(schema, value)
    ? 'wrong_type'
    : typeof value === 'number' || schema.const !== undefined
      ? 'out_of_range'
      : 'invalid_format';
  return { parameter: name, code, detail: `${name} must be ${expected(name, schema, model)}, but is ${show(value)}.` };
}

function hasType(schema: ParameterSchema, value: unknown): boolean {
  if (schema.const !== undefined) return typeof value === typeof schema.const;
  if (schema.type === 'integer') return Number.isInteger(value);
  return typeof value === schema.type;
}

function expected(name: string, schema: ParameterSchema, model: Model): string {
  if (schema.const !== undefined) return `${JSON.stringify(schema.const)}, or left out (${schema.description})`;
  if (schema.type === 'integer' || schema.type === 'number') {
    const kind = schema.type === 'integer' ? 'a whole number' : 'a number';
    if (schema.minimum === schema.maximum) return `${schema.minimum}, or left out (${schema.description})`;
    return `${kind} from ${schema.minimum} to ${schema.maximum}${name === model.seed ? ', or "random"' : ''}`;
  }
  if (schema.pattern === '\\S') return `text of 1 to ${schema.maxLength} characters that is not blank`;
  if (schema.pattern !== undefined) return 'a name of 1 to 40 lower-case letters, digits, _ and :';
  return `text of at most ${schema.maxLength} characters`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function unknownParameter(name: string, known: readonly string[]): InputProblem {
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint =
    near !== undefined && near.distance <= 3
      ? ` Did you mean ${near.candidate}?`
      : ` The parameters are ${known.join(', ')}.`;
  return {
    parameter: name.slice(0, 80),
    code: 'unknown_parameter',
    detail: `There is no parameter ${show(name.slice(0, 80))}.${hint}`,
  };
}

/** Levenshtein's distance, for texts short enough to be parameters' names; longer ones count as far away. */
function editDistance(a: string, b: string): number {
  if (a.length > 40) return a.length;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      );
    }
    row = next;
  }
  return row[b.length] ?? a.length;
}
