import { type DestinationStream, type Logger, pino } from 'pino';
import { describeError } from './describe-error.ts';
import { createKnownSecrets, type KnownSecrets } from './known-secrets.ts';
import { redact } from './redact.ts';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  readonly service: string;
  readonly level: LogLevel;
  /** Exact texts that must never be written: the keys this process was given, or will yet be given. */
  readonly secrets?: readonly (string | undefined)[] | KnownSecrets;
  /** Where the lines go; standard output when it is left out. */
  readonly destination?: DestinationStream;
}

/** One JSON line an entry. Redaction works on the finished line, so no field, nested or not, can slip past it. */
export function createLogger({ service, level, secrets = [], destination }: LoggerOptions): Logger {
  const known = 'hideInJson' in secrets ? secrets : createKnownSecrets(secrets);
  // What is known goes first: a shape may fit only the beginning of a key.
  const clean = (line: string) => redact(known.hideInJson(line));
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
