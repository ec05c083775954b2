import type { PartProblem } from '../errors/problem-error.ts';

/** Characters. */
const LONGEST_URL = 2000;

/** Says why webhooks cannot go to a URL, in a sentence for whoever gave it; undefined where they can. */
export type CheckWebhookUrl = (url: string) => Promise<string | undefined>;

/**
 * Reads the URL of a webhook: of an endpoint, a job or a batch.
 * @param at JSON pointer of the value in the request, or `?name`. @param problems what is wrong is added here.
 * @param guard whether it may be sent to; see createWebhookUrlGuard.
 * @returns the URL as it will be asked for; undefined where it is left out (also null), or wrong.
 */
export async function readWebhookUrl(
  value: unknown,
  at: string,
  problems: PartProblem[],
  guard: CheckWebhookUrl,
): Promise<string | undefined> {
  if (value === undefined || value === null) return undefined;
  const name = at.slice(1);
  const form = `${name} must be a URL of at most ${LONGEST_URL} characters, such as https://example.com/hooks/renderyard.`;
  if (typeof value !== 'string') {
    problems.push({ pointer: at, code: 'wrong_type', detail: form });
    return undefined;
  }
  const wrong = whatIsWrong(value);
  if (wrong !== undefined) {
    problems.push({ pointer: at, code: 'invalid_format', detail: `${form} ${wrong}` });
    return undefined;
  }
  const { href } = new URL(value);
  if (href.length > LONGEST_URL) {
    const detail = `${form} This one has ${href.length} as it is sent, percent-encoded.`;
    problems.push({ pointer: at, code: 'invalid_format', detail });
    return undefined;
  }
  const refusal = await guard(href);
  if (refusal === undefined) return href;
  problems.push({ pointer: at, code: 'webhook_url_refused', detail: `${name} is refused. ${refusal}` });
  return undefined;
}

/** What a parser of URLs would take out, or turn into something else, was not meant. */
function whatIsWrong(url: string): string | undefined {
  if (url.length > LONGEST_URL) return `This one has ${url.length}.`;
  if (!/^https?:\/\//i.test(url)) return 'It must begin with https:// or http://.';
  if (url.includes('#')) return 'What stands after a # is never sent: leave it out.';
  if (/[\s\\]/.test(url)) return 'Spaces, line breaks and backslashes must be percent-encoded.';
  return URL.canParse(url) ? undefined : 'This one cannot be read: look at its host and port.';
}
