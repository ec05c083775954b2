import { type DestinationStream, type Logger, pino } from 'pino';
import { describeError } from './describe-error.ts';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

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

export interface LoggerOptions {
  readonly service: string;
  readonly level: LogLevel;
  /** Exact texts that must never be written, whatever they look like: the keys this process was given. */
  readonly secrets?: readonly (string | undefined)[];
  /** Where the lines go; standard output when it is left out. */
  readonly destination?: DestinationStream;
}

/** One JSON line an entry. Redaction works on the finished line, so no field, nested or not, can slip past it. */
export function createLogger({ service, level, secrets = [], destination }: LoggerOptions): Logger {
  // The longest first, so that of one that holds another nothing is left over; and as JSON writes them.
  const exact = secrets
    .filter((secret): secret is string => secret !== undefined && secret.length >= 6)
    .sort((a, b) => b.length - a.length)
    .map((secret) => JSON.stringify(secret).slice(1, -1));
  const clean = (line: string) =>
    exact.reduce((cleaned, secret) => cleaned.replaceAll(secret, '[redacted]'), redact(line));
  return pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: (error: unknown) => (error instanceof Error ? describeError(error) : error) },
      hooks: { streamWrite: clean },
    },
    destination ?? pino.destination({ dest: 1, sync: true }),
  );
}
