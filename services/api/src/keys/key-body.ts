import type { KeyLimits } from '@renderyard/shared/key/key-record';
import { SCOPES, type Scope } from '@renderyard/shared/key/scope';
import { Type } from 'typebox';
import { readTime } from '../body/read-time.ts';
import { invalidRequest, type PartProblem, pointer } from '../errors/problem-error.ts';
import { readFields } from '../webhooks/webhook-fields.ts';

/** Characters. */
const LONGEST_NAME = 100;
/** As names of `RENDERYARD_API_KEYS` are. */
const ACCOUNT = /^[A-Za-z0-9_-]{1,40}$/;
const MOST_REQUESTS = 1_000_000;

/** The body, for the documentation; it is checked below, with better words. */
export const NewKeySchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: LONGEST_NAME, description: 'For people.' }),
    account: Type.Optional(
      Type.String({
        pattern: ACCOUNT.source,
        description: "Whose jobs, batches and webhooks it makes and sees; the caller's if left out.",
      }),
    ),
    scopes: Type.Array(Type.Enum([...SCOPES]), {
      minItems: 1,
      uniqueItems: true,
      description:
        '`submit`: make and change jobs and batches. `read`: read them. `webhooks`: webhooks and deliveries. `credits`: limits, budgets and holds of the whole installation. `admin`: all of it, and keys.',
    }),
    expires_at: Type.Optional(
      Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
        description: 'From then on it is refused; null or left out: never.',
      }),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          requests_per_minute: Type.Optional(
            Type.Union([Type.Integer({ minimum: 1, maximum: MOST_REQUESTS }), Type.Null()], {
              description: 'As many may come at once, and those after them evenly over the minute. Null: any number.',
            }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);

/** What a key is to be. */
export interface NewKey {
  readonly name: string;
  readonly account: string | undefined;
  readonly scopes: readonly Scope[];
  /** Milliseconds since 1970; null: never. */
  readonly expiresAt: number | null;
  readonly limits: KeyLimits;
}

/**
 * @param now milliseconds since 1970.
 * @throws {ProblemError} `invalid_request` with everything that is wrong.
 */
export function readNewKey(body: unknown, now: number): NewKey {
  const problems: PartProblem[] = [];
  const known = Object.keys(NewKeySchema.properties);
  const fields = readFields(body, known, 'at least {"name":"…","scopes":["submit","read"]}', problems);
  const name = readName(fields.name, problems);
  const account = readAccount(fields.account, problems);
  const scopes = readScopes(fields.scopes, problems);
  const expiresAt = readExpiry(fields.expires_at, now, problems);
  const limits = readLimits(fields.limits, problems);
  if (problems.length > 0 || name === undefined) throw invalidRequest(problems);
  return { name, account, scopes, expiresAt, limits };
}

function readName(value: unknown, problems: PartProblem[]): string | undefined {
  const isShort = typeof value === 'string' && value.length <= LONGEST_NAME && value.isWellFormed();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (isShort && /\S/.test(value) && !/[\u0000-\u001f\u007f]/.test(value)) return value;
  problems.push({
    pointer: '/name',
    code: value === undefined ? 'required' : typeof value === 'string' ? 'invalid_format' : 'wrong_type',
    detail: `name must be text of 1 to ${LONGEST_NAME} characters on one line.`,
  });
  return undefined;
}

function readAccount(value: unknown, problems: PartProblem[]): string | undefined {
  if (value === undefined) return undefined;
  // Names that every object has are no names of accounts: somewhere one is looked up in an object.
  if (typeof value === 'string' && ACCOUNT.test(value) && !(value in Object.prototype)) return value;
  problems.push({
    pointer: '/account',
    code: typeof value === 'string' ? 'invalid_format' : 'wrong_type',
    detail: 'account must be 1 to 40 letters, digits, - and _, no word of JavaScript such as constructor, or left out.',
  });
  return undefined;
}

function readScopes(value: unknown, problems: PartProblem[]): readonly Scope[] {
  const all = SCOPES.join(', ');
  if (!Array.isArray(value) || value.length === 0) {
    const detail = `scopes must be a list of one or more of ${all}.`;
    problems.push({ pointer: '/scopes', code: value === undefined ? 'required' : 'wrong_type', detail });
    return [];
  }
  for (const [index, scope] of value.slice(0, SCOPES.length + 1).entries())
    if (!SCOPES.includes(scope) || value.indexOf(scope) !== index)
      problems.push({
        pointer: pointer('/scopes', index),
        code: 'invalid_format',
        detail: `Each scope is one of ${all}, and none stands there twice.`,
      });
  return value as readonly Scope[];
}

function readExpiry(value: unknown, now: number, problems: PartProblem[]): number | null {
  if (value === undefined || value === null) return null;
  const at = readTime(value);
  if (at !== undefined && at > now) return at;
  problems.push({
    pointer: '/expires_at',
    code: typeof value !== 'string' ? 'wrong_type' : at === undefined ? 'invalid_format' : 'out_of_range',
    detail: `expires_at must be a time to come, such as ${new Date(now + 90 * 86_400_000).toISOString()}, or null.`,
  });
  return null;
}

function readLimits(value: unknown, problems: PartProblem[]): KeyLimits {
  const none: KeyLimits = { requests_per_minute: null };
  if (value === undefined) return none;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    problems.push({ pointer: '/limits', code: 'wrong_type', detail: 'limits must be an object, or left out.' });
    return none;
  }
  for (const name of Object.keys(value))
    if (name !== 'requests_per_minute')
      problems.push({
        pointer: pointer('/limits', name),
        code: 'unknown_field',
        detail: 'There is no such limit; known here: requests_per_minute.',
      });
  const { requests_per_minute: requests = null } = value as { readonly requests_per_minute?: unknown };
  if (requests === null) return none;
  if (typeof requests === 'number' && Number.isInteger(requests) && requests >= 1 && requests <= MOST_REQUESTS)
    return { requests_per_minute: requests };
  problems.push({
    pointer: '/limits/requests_per_minute',
    code: typeof requests === 'number' ? 'out_of_range' : 'wrong_type',
    detail: `requests_per_minute must be a whole number from 1 to ${MOST_REQUESTS}, or null.`,
  });
  return none;
}
