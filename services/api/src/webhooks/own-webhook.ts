import { EVENT_TYPES, type EventType } from '@renderyard/shared/webhook/event-type';
import { type PartProblem, pointer } from '../errors/problem-error.ts';
import { MOST_NAMED, readEventTypes } from './read-event-types.ts';
import type { CheckWebhookUrl } from './webhook-url.ts';

/** What the own webhook of a job or a batch is checked with. */
export interface OwnWebhookChecks {
  readonly checkUrl: CheckWebhookUrl;
  /** @throws {ProblemError} `secret_key_missing` where there is no secret that lasts to sign with. */
  readonly requireSecret: () => void;
}

/** For the documentation. */
export const WEBHOOK_DESCRIPTION = 'A URL that is told of it, besides the endpoints of the account; signed.';

/**
 * Reads which events the filter of a job or a batch names: each once, in the order of the closed list, so that the same
 * filter is always written alike.
 * @param at JSON pointer of the list in the request, or `?name`. @param allowed the types that it can name.
 * @param problems what is wrong is added here. @param whose `a job`, for what is said of others' events.
 * @returns undefined where it is left out (also null), or wrong.
 */
export function readEventsFilter(
  value: unknown,
  at: string,
  {
    allowed,
    whose,
    problems,
  }: { readonly allowed: readonly EventType[]; readonly whose: string; readonly problems: PartProblem[] },
): readonly EventType[] | undefined {
  const foreign = Array.isArray(value) && value.length <= MOST_NAMED ? foreignTypes(value, allowed) : [];
  for (const { type, index } of foreign)
    problems.push({
      pointer: at.startsWith('?') ? at : pointer(at, index),
      code: 'unknown_event_type',
      detail: `${type} is no event of ${whose}. Its types are ${allowed.join(', ')}.`,
    });
  if (foreign.length > 0) return undefined;
  const types = readEventTypes(value, at, allowed, problems);
  return types === null ? undefined : allowed.filter((type) => types.includes(type));
}

/** Events that there are, but not of this. */
function foreignTypes(values: readonly unknown[], allowed: readonly EventType[]) {
  return values.flatMap((value, index) => {
    const type = EVENT_TYPES.find((each) => each === value);
    return type === undefined || allowed.includes(type) ? [] : [{ type, index }];
  });
}
