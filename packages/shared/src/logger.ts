import { type DestinationStream, type Logger, pino } from 'pino';
import { describeError } from './describe-error.ts';
import { redact } from './redact.ts';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

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
