import { Value } from 'typebox/value';
import type { Model } from './model.ts';

/** One thing that is wrong with an input. `parameter` is empty when the input as a whole is. */
export interface InputProblem {
  readonly parameter: string;
  readonly code: 'required' | 'unknown_parameter' | 'wrong_type' | 'out_of_range' | 'invalid_format';
  /** What is wrong and what would be right. */
  readonly detail: string;
}

/** What kind of value a parameter takes; a constant one takes nothing else than its `constant`. */
export type ParameterKind = 'text' | 'integer' | 'number' | 'constant';

/** A parameter of a model, ready to check a million values. */
export interface Parameter {
  readonly name: string;
  readonly kind: ParameterKind;
  readonly constant: unknown;
  /** Undefined where the model has none. */
  readonly default: unknown;
  /** Whether it has to be given: it has no default, and is not drawn. */
  readonly required: boolean;
  /** Whether it takes the seed, and with it also `"random"`. */
  readonly seed: boolean;
  /** What would be right, in words that complete "… must be". */
  readonly expected: string;
  /** Says what is wrong with a value, which is neither undefined nor null. */
  check(value: unknown): InputProblem | undefined;
  /** What is to be said where a required one is missing. */
  missing(): InputProblem;
}

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

const prepared = new WeakMap<Model, ReadonlyMap<string, Parameter>>();

/** The parameters of a model by name, in its order. */
export function parametersOf(model: Model): ReadonlyMap<string, Parameter> {
  let parameters = prepared.get(model);
  if (parameters === undefined) {
    const schemas = model.parameters.properties as unknown as Readonly<Record<string, ParameterSchema>>;
    const required = new Set<string>((model.parameters.required ?? []) as string[]);
    parameters = new Map(
      Object.entries(schemas).map(([name, schema]) => [name, prepare(name, schema, model, required.has(name))]),
    );
    prepared.set(model, parameters);
  }
  return parameters;
}

function prepare(name: string, schema: ParameterSchema, model: Model, required: boolean): Parameter {
  const expected = describe(name, schema, model);
  const plainly = quickCheck(schema);
  return {
    name,
    kind: kindOf(schema),
    constant: schema.const,
    default: schema.default,
    required: required && schema.default === undefined && name !== model.seed,
    seed: name === model.seed,
    expected,

    check(value) {
      if (typeof value === 'string' && !value.isWellFormed()) {
        return {
          parameter: name,
          code: 'invalid_format',
          detail: `${name} holds half of a surrogate pair, which no encoding can carry.`,
        };
      }
      if (plainly(value) || Value.Check(schema as never, value)) return undefined;
      const code = !hasType(schema, value)
        ? 'wrong_type'
        : typeof value === 'number' || schema.const !== undefined
          ? 'out_of_range'
          : 'invalid_format';
      return { parameter: name, code, detail: `${name} must be ${expected}, but is ${showValue(value)}.` };
    },

    missing: () => ({ parameter: name, code: 'required', detail: `${name} is required: ${expected}.` }),
  };
}

function kindOf(schema: ParameterSchema): ParameterKind {
  if (schema.const !== undefined) return 'constant';
  return schema.type === 'integer' || schema.type === 'number' ? schema.type : 'text';
}

/**
 * A quick test that is true only for values that are right; where it is false the schema's own check decides. That one
 * interprets the schema anew for each value, which is too slow for the rows of a batch.
 */
function quickCheck(schema: ParameterSchema): (value: unknown) => boolean {
  if (schema.const !== undefined) return (value) => value === schema.const;
  if (schema.type === 'integer' || schema.type === 'number') {
    const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema;
    const whole = schema.type === 'integer';
    return (value) =>
      typeof value === 'number' && value >= minimum && value <= maximum && (!whole || Number.isInteger(value));
  }
  // A text never has more code points than units, and one that is not empty has at least one.
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
  const pattern = schema.pattern === undefined ? undefined : new RegExp(schema.pattern, 'u');
  return (value) =>
    typeof value === 'string' &&
    minLength <= 1 &&
    value.length >= minLength &&
    value.length <= maxLength &&
    (pattern === undefined || pattern.test(value));
}

function hasType(schema: ParameterSchema, value: unknown): boolean {
  if (schema.const !== undefined) return typeof value === typeof schema.const;
  if (schema.type === 'integer') return Number.isInteger(value);
  return typeof value === schema.type;
}

function describe(name: string, schema: ParameterSchema, model: Model): string {
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

/** A value as JSON, for a text that people read: at most 60 characters of it. */
export function showValue(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
