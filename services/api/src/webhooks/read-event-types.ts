import { nearestName } from '@renderyard/shared/model/near-name';
import { type PartProblem, pointer } from '../errors/problem-error.ts';

/** `job.success` is meant to be `job.succeeded`: so many letters may be others. */
const NEAR = 4;
/** Types in a list: more than there are, and so few that to say what is wrong with each takes no time. */
export const MOST_NAMED = 50;

/**
 * Reads a list of event types.
 * @param at JSON pointer of the list in the request, or `?name`. @param allowed the types that can be asked for here.
 * @param problems what is wrong is added here.
 * @returns null where it is left out (also null), or wrong.
 */
export function readEventTypes<T extends string>(
  value: unknown,
  at: string,
  allowed: readonly T[],
  problems: PartProblem[],
): readonly T[] | null {
  if (value === undefined || value === null) return null;
  const name = at.slice(1);
  const known = `The types are ${allowed.join(', ')}.`;
  if (!Array.isArray(value) || value.length === 0) {
    const code = Array.isArray(value) ? 'out_of_range' : 'wrong_type';
    problems.push({ pointer: at, code, detail: `${name} must be a list of event types, at least one. ${known}` });
    return null;
  }
  if (value.length > MOST_NAMED) {
    const detail = `${name} names ${value.length} event types, more than there are. Name each once. ${known}`;
    problems.push({ pointer: at, code: 'out_of_range', detail });
    return null;
  }
  const types: T[] = [];
  const before = problems.length;
  for (const [index, each] of (value as readonly unknown[]).entries()) {
    const place = at.startsWith('?') ? at : pointer(at, index);
    const type = allowed.find((one) => one === each);
    if (type === undefined) problems.push(unknownType(each, place, allowed));
    else if (types.includes(type))
      problems.push({
        pointer: place,
        code: 'duplicate_name',
        detail: `${type} is named more than once. Name it once.`,
      });
    else types.push(type);
  }
  return problems.length > before ? null : types;
}

function unknownType(given: unknown, at: string, allowed: readonly string[]): PartProblem {
  const known = `The types are ${allowed.join(', ')}.`;
  if (typeof given !== 'string')
    return { pointer: at, code: 'wrong_type', detail: `An event type must be a text. ${known}` };
  const near = nearestName(given, allowed, NEAR);
  const shown = JSON.stringify(given.slice(0, 80).toWellFormed());
  const hint = near === undefined ? known : `Did you mean ${near}?`;
  return { pointer: at, code: 'unknown_event_type', detail: `There is no event type ${shown} here. ${hint}` };
}
