import { type Static, Type } from 'typebox';
import { readTime, TIME_PATTERN } from '../body/read-time.ts';
import { invalidRequest, type PartProblem } from '../errors/problem-error.ts';

const time = 'a time in RFC 3339 of a day that there is, such as 2026-07-01T00:00:00Z';
const Time = Type.String({ pattern: TIME_PATTERN, description: time });

/** Which failed deliveries are to be sent again. */
export const ReplayBody = Type.Object(
  {
    since: Time,
    until: Type.Optional(Time),
    webhook_id: Type.Optional(
      Type.String({ pattern: '^whk_[0-9a-hjkmnp-tv-z]{26}$', description: 'the id of a webhook: whk_….' }),
    ),
  },
  { additionalProperties: false },
);

/** Events from `since` on and before `until`, in milliseconds since 1970; only of one webhook, where it is named. */
export interface ReplayRange {
  readonly since: number;
  readonly until?: number;
  readonly webhookId?: string;
}

/**
 * Reads what a body asks for. However long ago `since` is, it is right: an event may be much older than its delivery.
 * @throws {ProblemError} `invalid_request`
 */
export function readReplayRange(body: Static<typeof ReplayBody>, now: number): ReplayRange {
  const problems: PartProblem[] = [];
  const read = (name: 'since' | 'until', otherwise: number): number => {
    const at = body[name] === undefined ? otherwise : readTime(body[name]);
    if (at === undefined)
      problems.push({ pointer: `/${name}`, code: 'invalid_format', detail: `${name} must be ${time}.` });
    return at ?? otherwise;
  };
  const until = read('until', now);
  const since = read('since', now);
  if (problems.length === 0 && since >= until)
    problems.push({
      pointer: '/since',
      code: 'out_of_range',
      detail: 'since must be before until; until is now where it is left out.',
    });
  if (problems.length > 0) throw invalidRequest(problems);
  return {
    since,
    // What failed just now is meant as well, also where Redis's clock is ahead of ours.
    ...(body.until === undefined ? {} : { until }),
    ...(body.webhook_id === undefined ? {} : { webhookId: body.webhook_id }),
  };
}
