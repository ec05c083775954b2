import { SETTINGS } from '@renderyard/shared/config';
import { readTime } from '../body/read-time.ts';
import { invalidRequest, type PartProblem, pointer } from '../errors/problem-error.ts';
import type { RecoverFrom } from './webhook-body.ts';

/** Characters. */
const LONGEST_DESCRIPTION = 500;
const OVERLAP_HOURS = 24;
const MOST_OVERLAP_HOURS = 168;
/** Days that can be recovered. */
const RECOVERABLE_DAYS = 30;
const DAY_MS = 86_400_000;

type Fields = Readonly<Record<string, unknown>>;

/**
 * The members of a body. What is wrong goes into `problems`, here and below.
 * @throws {ProblemError} `invalid_request` where it is no object.
 */
export function readFields(body: unknown, known: readonly string[], holds: string, problems: PartProblem[]): Fields {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    const code = body === undefined ? 'required' : 'wrong_type';
    throw invalidRequest([{ pointer: '', code, detail: `The body must be a JSON object with ${holds}.` }]);
  }
  for (const name of Object.keys(body)) {
    if (known.includes(name)) continue;
    const shown = JSON.stringify(name.slice(0, 80).toWellFormed());
    const detail = `There is no field ${shown}; known here: ${known.join(', ')}.`;
    problems.push({ pointer: pointer('', name), code: 'unknown_field', detail });
  }
  return body as Fields;
}

/** Null where it is left out, or wrong. */
export function readDescription(value: unknown, problems: PartProblem[]): string | null {
  if (value === undefined || value === null) return null;
  const isShort = typeof value === 'string' && value.length <= LONGEST_DESCRIPTION && value.isWellFormed();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (isShort && /\S/.test(value) && !/[\u0000-\u001f\u007f]/.test(value)) return value;
  problems.push({
    pointer: '/description',
    code: typeof value === 'string' ? 'invalid_format' : 'wrong_type',
    detail: `description must be text of 1 to ${LONGEST_DESCRIPTION} characters on one line, or null.`,
  });
  return null;
}

/** A secret that the user brings along. It is never repeated, right or wrong. */
export function readSecret(value: unknown, problems: PartProblem[]): string | undefined {
  if (value === undefined || value === null) return undefined;
  const { parse, expects } = SETTINGS.WEBHOOK_SECRET;
  const secret = typeof value === 'string' ? parse(value) : undefined;
  if (secret === undefined)
    problems.push({
      pointer: '/secret',
      code: typeof value === 'string' ? 'invalid_format' : 'wrong_type',
      detail: `secret must be ${expects}, or left out.`,
    });
  return secret;
}

export function readState(value: unknown, problems: PartProblem[]): 'enabled' | 'disabled' | undefined {
  if (value === undefined) return undefined;
  if (value === 'enabled' || value === 'disabled') return value;
  problems.push({
    pointer: '/state',
    code: typeof value === 'string' ? 'invalid_format' : 'wrong_type',
    detail: 'state must be enabled or disabled.',
  });
  return undefined;
}

export function readOverlap(value: unknown, problems: PartProblem[]): number {
  if (value === undefined || value === null) return OVERLAP_HOURS;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MOST_OVERLAP_HOURS) return value;
  problems.push({
    pointer: '/overlap_hours',
    code: typeof value === 'number' ? 'out_of_range' : 'wrong_type',
    detail: `overlap_hours must be a whole number of hours from 0 to ${MOST_OVERLAP_HOURS}.`,
  });
  return OVERLAP_HOURS;
}

/**
 * What `recover` and `recover_since`, which counts where both are given, ask for; undefined for nothing.
 * @param now milliseconds since 1970.
 */
export function readRecovery(fields: Fields, now: number, problems: PartProblem[]): RecoverFrom | undefined {
  const { recover, recover_since: since, state } = fields;
  const name = since === undefined ? 'recover' : 'recover_since';
  if (since === undefined && (recover === undefined || recover === false)) return undefined;
  if (recover !== undefined && typeof recover !== 'boolean') {
    problems.push({ pointer: '/recover', code: 'wrong_type', detail: 'recover must be true or false.' });
    return undefined;
  }
  if (state !== 'enabled') {
    const detail = `state must be enabled where ${name} is given: nothing is sent otherwise.`;
    problems.push({ pointer: '/state', code: state === undefined ? 'required' : 'invalid_format', detail });
    return undefined;
  }
  if (since === undefined) return 'missed';
  const at = readTime(since);
  if (at !== undefined && at <= now && at >= now - RECOVERABLE_DAYS * DAY_MS) return at;
  const code = typeof since !== 'string' ? 'wrong_type' : at === undefined ? 'invalid_format' : 'out_of_range';
  const example = new Date(now - DAY_MS).toISOString();
  const detail = `recover_since must be a time of the last ${RECOVERABLE_DAYS} days, such as ${example}.`;
  problems.push({ pointer: '/recover_since', code, detail });
  return undefined;
}
