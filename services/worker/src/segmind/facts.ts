import { parseCredits } from '@renderyard/shared/credits/amount';
import type { AnswerFacts } from './outcome.ts';

/** Headers as undici gives them; a doubled one is a list. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * Reads what the answer's headers tell. A header that came twice is believed only if both say the same; anything that
 * is not a plain number of a possible size is left out. No header is worth more than a guess: see segmind's own notes
 * on docs.segmind.com, which name them but promise nothing.
 */
export function readFacts(status: number, headers: AnswerHeaders): AnswerFacts {
  const cost = amount(headers['x-cost'], 'up');
  return {
    status,
    cost: cost !== undefined && cost >= 0 ? cost : undefined,
    remaining: amount(headers['x-remaining-credits'], 'down'),
    requestId: single(headers['x-request-id'])?.match(/^[\x21-\x7e]{1,128}$/)?.[0],
    seed: wholeNumber(single(headers['x-seed-value'])),
    generationSeconds: seconds(single(headers['x-generation-time'])),
  };
}

/** The beginning of a time in ISO 8601, or as HTTP writes it. `Date.parse` alone makes a date of 2001 of a mere "5". */
const DATE = /^(?:\d{4}-\d\d-\d\d(?:[T ]|$)|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} )/i;

/**
 * Milliseconds from `now` until the rate limit is lifted, by `x-rate-limit-reset-at-utc`: a time in ISO 8601, taken as
 * UTC when it names no zone, or seconds since 1970. Undefined when it is missing or unreadable. Not clamped.
 */
export function rateLimitReset(headers: AnswerHeaders, now: number): number | undefined {
  const text = single(headers['x-rate-limit-reset-at-utc'])?.trim();
  if (text === undefined) return undefined;
  if (/^\d{9,11}(\.\d+)?$/.test(text)) return Number(text) * 1000 - now;
  if (!DATE.test(text)) return undefined;
  const zoned = /(?:z|[+-]\d\d:?\d\d|utc|gmt)$/i.test(text) ? text : `${text.replace(' ', 'T')}Z`;
  const time = Date.parse(zoned.replace(/ ?utc$/i, 'Z'));
  return Number.isNaN(time) ? undefined : time - now;
}

function single(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined || typeof header === 'string') return header;
  return new Set(header).size === 1 ? header[0] : undefined;
}

function amount(header: string | readonly string[] | undefined, round: 'up' | 'down'): number | undefined {
  const text = single(header);
  return text === undefined ? undefined : parseCredits(text, round);
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined;
}

function seconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,6}(\.\d{1,12})?$/.test(text.trim()) ? Number(text) : undefined;
}
