/**
 * What must never be read in a log, wherever in a text it stands: Segmind's keys (`SG_` and hex), our own (`ry_…`),
 * webhook secrets (`whsec_…`), and the password of a URL. They work on JSON, so none takes a quote or a backslash, and
 * a key may stand right behind the `n` of a `\n`. Only ours must not begin within a word, such as `memory_…`.
 */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/SG_[0-9A-Za-z]{8,}/g, 'SG_[redacted]'],
  [/(?:(?<![0-9A-Za-z])|(?<=\\[bfnrt]|%[0-9A-Fa-f]{2}|\[[\d;]*m))ry_[0-9A-Za-z_-]{8,}/g, 'ry_[redacted]'],
  [/whsec_[0-9A-Za-z+/=_-]{8,}/g, 'whsec_[redacted]'],
  [/(\b[a-z][a-z0-9+]{0,30}:\/\/[^\s:/@"\\]*:)[^\s/"\\]+@/gi, '$1[redacted]@'],
  [/(x-amz-(?:signature|credential|security-token)=)[^&\s"'\\]+/gi, '$1[redacted]'],
];

/** Returns the text with everything that looks like a secret replaced. */
export function redact(text: string): string {
  return SECRETS.reduce((cleaned, [pattern, replacement]) => cleaned.replace(pattern, replacement), text);
}
