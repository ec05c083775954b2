import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { invalidRequest, type PartProblem, pointer } from '../errors/problem-error.ts';

interface PropertySchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly description?: string;
}

/**
 * Checks what a route's TypeBox schema describes: an object with plain members. Nothing is removed or converted, but
 * whole numbers in a query, which has only texts; defaults are filled in.
 */
export const compileSchema: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const properties = (schema as { properties?: Readonly<Record<string, PropertySchema>> }).properties ?? {};
  const isQuery = httpPart === 'querystring';
  return (given: unknown) => {
    const value = withDefaults(isQuery ? withNumbers(given, properties) : given, properties);
    if (validator.Check(value)) return { value };
    return { error: invalidRequest(findProblems(value, properties, isQuery, (each) => validator.Errors(each))) };
  };
};

function withNumbers(query: unknown, properties: Readonly<Record<string, PropertySchema>>): unknown {
  return Object.fromEntries(
    Object.entries(query ?? {}).map(([name, text]) => [
      name,
      properties[name]?.type === 'integer' && typeof text === 'string' && /^-?\d{1,15}$/.test(text)
        ? Number(text)
        : text,
    ]),
  );
}

function withDefaults(value: unknown, properties: Readonly<Record<string, PropertySchema>>): unknown {
  // A body may be left out where every member may.
  if (value !== undefined && value !== null && (typeof value !== 'object' || Array.isArray(value))) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [name, schema] of Object.entries(properties))
    if (schema.default !== undefined && filled[name] === undefined) filled[name] = schema.default;
  return filled;
}

function findProblems(
  value: unknown,
  properties: Readonly<Record<string, PropertySchema>>,
  isQuery: boolean,
  errorsOf: (
    value: unknown,
  ) => readonly { readonly instancePath: string; readonly keyword: string; readonly params: object }[],
): readonly PartProblem[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return [{ pointer: '', code: 'wrong_type', detail: 'The body must be a JSON object, or left out.' }];
  const at = (name: string) => (isQuery ? `?${name.slice(0, 80).toWellFormed()}` : pointer('', name));
  const kind = isQuery ? 'query parameter' : 'field';
  const unknown = Object.keys(value)
    .filter((name) => !Object.hasOwn(properties, name))
    .map((name): PartProblem => {
      const known = Object.keys(properties).join(', ') || 'none';
      return {
        pointer: at(name),
        code: 'unknown_field',
        detail: `There is no ${kind} ${JSON.stringify(name.slice(0, 80))}; known here: ${known}.`,
      };
    });
  const wrong = new Set(errorsOf(value).map((error) => nameOf(error)));
  const others = Object.entries(properties)
    .filter(([name]) => wrong.has(name))
    .map(([name, schema]): PartProblem => {
      const given = (value as Record<string, unknown>)[name];
      return {
        pointer: at(name),
        code: given === undefined ? 'required' : codeOf(schema, given),
        detail: `${name} must be ${expects(schema)}.`,
      };
    });
  return [...unknown, ...others];
}

function nameOf(error: { readonly instancePath: string; readonly params: object }): string {
  const missing = (error.params as { requiredProperties?: readonly string[] }).requiredProperties?.[0];
  return missing ?? error.instancePath.split('/')[1] ?? '';
}

function codeOf(schema: PropertySchema, given: unknown): PartProblem['code'] {
  if (schema.type === 'integer') return typeof given === 'number' ? 'out_of_range' : 'wrong_type';
  return typeof given === 'string' ? 'invalid_format' : 'wrong_type';
}

function expects(schema: PropertySchema): string {
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`;
  if (schema.pattern !== undefined) return `${schema.description}`.replace(/\.$/, '');
  if (schema.type === 'integer') return `a whole number from ${schema.minimum} to ${schema.maximum}, given once`;
  return `text of ${schema.minLength ?? 0} to ${schema.maxLength} characters, given once`;
}
