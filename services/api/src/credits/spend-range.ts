import { BOOKS_DAYS } from '@renderyard/shared/credits/credit-books';
import { Type } from 'typebox';
import { readTime, TIME_PATTERN } from '../body/read-time.ts';
import { invalidRequest, type PartProblem } from '../errors/problem-error.ts';
import { SPEND_BY } from './spend-report.ts';
import { HOUR_MS } from './spending.ts';

const DAY_MS = 24 * HOUR_MS;
const description =
  'a time in RFC 3339 of a day that there is, such as 2026-07-01T00:00:00Z (in an address a + is written %2B)';

export const SpendQuery = Type.Object(
  {
    from: Type.Optional(Type.String({ pattern: TIME_PATTERN, description })),
    to: Type.Optional(Type.String({ pattern: TIME_PATTERN, description })),
    by: Type.Enum([...SPEND_BY], { default: 'hour' }),
  },
  { additionalProperties: false },
);

/**
 * The hours (since 1970; from the first to before the last) that a query asks for; begun ones count as whole. What is left out: `to` is
 * now, `from` a day before `to`.
 * @throws {ProblemError} `invalid_request`
 */
export function readSpendRange(
  query: { readonly from?: string; readonly to?: string },
  now: number,
): readonly [from: number, to: number] {
  const problems: PartProblem[] = [];
  const read = (name: 'from' | 'to', otherwise: () => number): number => {
    const text = query[name];
    if (text === undefined) return otherwise();
    const at = readTime(text);
    if (at === undefined)
      problems.push({ pointer: `?${name}`, code: 'invalid_format', detail: `${name} must be ${description}.` });
    return at ?? Number.NaN;
  };
  const to = read('to', () => now);
  const from = read('from', () => to - DAY_MS);
  if (problems.length === 0 && from >= to)
    problems.push({
      pointer: '?from',
      code: 'out_of_range',
      detail: 'from must be before to; to is now where it is left out.',
    });
  if (to - from > BOOKS_DAYS * DAY_MS)
    problems.push({
      pointer: '?from',
      code: 'out_of_range',
      detail: `from must be ${BOOKS_DAYS} days before to at most: the books are kept for so long.`,
    });
  if (problems.length > 0) throw invalidRequest(problems);
  return [Math.floor(from / HOUR_MS), Math.ceil(to / HOUR_MS)];
}
