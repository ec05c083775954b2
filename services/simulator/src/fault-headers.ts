/** Headers that a fault sets: a text, a list for a header that stands more than once, or null for none. */
export type FaultHeaders = Readonly<Record<string, string | readonly string[] | null>>;

/** These belong to the connection and its framing (RFC 9110, 7.6.1 and 6.6.2), which Node keeps to itself. */
const OF_THE_CONNECTION = new Set(['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade']);
/** Node adds these by itself when they are not given. */
const ALWAYS_SENT = new Set(['content-length', 'date']);

const NAME = /^[A-Za-z0-9-]{1,60}$/;
/** What Node takes in the value of a header, as a regular expression: no control characters. */
export const HEADER_VALUE = '^[\\x20-\\x7e\\xa0-\\xff]*$';
const VALUE = new RegExp(HEADER_VALUE);

function problemWith(name: string, value: FaultHeaders[string]): string | undefined {
  if (!NAME.test(name)) return 'its name must be 1 to 60 letters, digits and hyphens.';
  const lower = name.toLowerCase();
  if (OF_THE_CONNECTION.has(lower))
    return 'it belongs to the connection and cannot be changed; the kind cut ends a body in other framings.';
  if (value === null)
    return ALWAYS_SENT.has(lower) ? 'it can be replaced, but is always sent: null cannot take it away.' : undefined;
  const values = typeof value === 'string' ? [value] : value;
  return values.every((one) => VALUE.test(one))
    ? undefined
    : 'its value must be of Latin-1, without control characters.';
}

/** Reads the headers of an effect: names come in any case and leave in lower case; or says what is wrong with one. */
export function readFaultHeaders(
  given: FaultHeaders,
): { readonly headers: FaultHeaders } | { readonly name: string; readonly problem: string } {
  const headers = new Map<string, FaultHeaders[string]>();
  for (const [name, value] of Object.entries(given)) {
    const problem = headers.has(name.toLowerCase())
      ? 'it stands there twice, in different case; give it a list instead.'
      : problemWith(name, value);
    if (problem !== undefined) return { name: JSON.stringify(name.slice(0, 80)), problem };
    headers.set(name.toLowerCase(), value);
  }
  return { headers: Object.fromEntries(headers) };
}
