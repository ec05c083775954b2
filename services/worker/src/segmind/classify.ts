import { redact } from '@renderyard/shared/redact';
import type { AnswerFacts, Outcome } from './outcome.ts';

/** Longest part of an upstream message that is shown to a client. */
const MOST_SHOWN = 300;

const CREDITS = /credit|insufficient|payment|billing|\bbalance\b|\bfunds?\b/i;
const SPEND_LIMIT =
  /(spend|spending|budget|usage)[\s_-]*(limit|cap)|limit.*(team|organi[sz]ation)|(team|organi[sz]ation).*limit/i;
const CONTENT_TYPE = /content[\s_-]?type|media[\s_-]?type|not acceptable/i;
const PARAMETER =
  /parameter|invalid|unsupported|not (?:a )?(?:valid|allowed|supported)|out of range|must be|should be|one of|value/i;

/**
 * Says what an answer other than 200 means. The body counts only where the status has several meanings.
 * @param message the upstream's own words, cleaned by {@link upstreamMessage}
 * @param resetMs of a 429: the wait that the answer asks for
 */
export function classifyStatus(facts: AnswerFacts, message: string, resetMs: number | undefined): Outcome {
  const { status } = facts;
  const said = message === '' ? '' : `: ${message}`;
  switch (status) {
    case 400:
    case 413:
    case 414:
    case 415:
    case 422:
      return { kind: 'rejected', detail: `The upstream refused the request (${status})${said}`, facts };
    case 401:
    case 403:
      return { kind: 'unauthorized', facts };
    case 402:
      return { kind: 'no_credits', clear: true, detail: message, facts };
    case 404:
    case 410:
      return { kind: 'no_such_model', facts };
    case 405:
      return {
        kind: 'rejected',
        detail: 'The upstream refused the way it was called (405). This is a defect of Renderyard; please report it.',
        facts,
      };
    case 406:
      return classify406(facts, message);
    case 429:
      return { kind: 'rate_limited', resetMs, facts };
    case 500:
    case 408:
    case 425:
      return { kind: 'unavailable', maybeBilled: false, facts };
    default:
      if (status >= 500) return { kind: 'unavailable', maybeBilled: true, facts };
      if (status >= 400)
        return { kind: 'rejected', detail: `The upstream refused the request (${status})${said}`, facts };
      if (status >= 300) return { kind: 'no_such_model', facts };
      // Another 2xx: it was taken, and what came is not an image.
      return { kind: 'unknown', how: 'bad_image', cause: `status ${status}`, facts };
  }
}

/** 406 has several meanings, told apart by words that are nowhere promised; what is unclear counts as credits. */
function classify406(facts: AnswerFacts, message: string): Outcome {
  if (SPEND_LIMIT.test(message) || CREDITS.test(message))
    return { kind: 'no_credits', clear: true, detail: message, facts };
  if (CONTENT_TYPE.test(message)) {
    return {
      kind: 'rejected',
      detail:
        'The upstream refused the content type of the request (406). This is a defect of Renderyard; please report it.',
      facts,
    };
  }
  if (PARAMETER.test(message))
    return { kind: 'rejected', detail: `The upstream refused a parameter (406): ${message}`, facts };
  return { kind: 'no_credits', clear: false, detail: message, facts };
}

/**
 * The upstream's message for people: the `error` of a JSON body; nothing of HTML or of anything else, and no secret.
 * @param hide takes out the keys that are known, whatever they look like
 */
export function upstreamMessage(body: string, hide: (text: string) => string = (text) => text): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return '';
  }
  const found =
    parsed !== null && typeof parsed === 'object'
      ? ['error', 'message', 'detail'].map((name) => (parsed as Record<string, unknown>)[name])
      : [parsed];
  const text = found.find((value) => typeof value === 'string' && value !== '');
  if (typeof text !== 'string' || /<[a-z!/]/i.test(text)) return '';
  return redact(hide(text))
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, MOST_SHOWN)
    .toWellFormed();
}
