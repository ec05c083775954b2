import type { Clock } from '@renderyard/shared/clock';
import type { AttemptError } from '@renderyard/shared/webhook/delivery';
import type { WebhookHeaders } from '@renderyard/shared/webhook/sign';
import { type Dispatcher, request } from 'undici';
import { AddressRefusedError, LookupTimeoutError, TlsFailedError } from './connect-errors.ts';
import { readAnswer } from './read-answer.ts';
import { readRetryAfter } from './retry-after.ts';

/** Why there is no status. `unreachable` does not tell what is there, or that it was refused; the log does. */
type SendError = Exclude<AttemptError, 'secret_unreadable'>;

/** How an attempt went: it has a status, or an error. */
export interface Attempt {
  readonly status?: number;
  readonly error?: SendError;
  readonly durationMs: number;
  /** The beginning of the answer, at most 500 characters, cleaned. */
  readonly answer: string;
  /** What Retry-After asks for, only of 429 and 503, not bounded above. */
  readonly retryAfterMs?: number;
  /** What went wrong, for the log alone: it may tell of addresses inside. */
  readonly cause?: string;
}

export interface Sender {
  /** Sends once, with no redirect followed. Never throws. `headers` are those of the signature. */
  send(message: { readonly url: string; readonly headers: WebhookHeaders; readonly body: string }): Promise<Attempt>;
}

const USER_AGENT = 'Renderyard/0.1.0 (webhooks)';

/**
 * Sends webhooks through an agent of `createGuardedAgent`, which says where they may go.
 * @param timeoutMs of a whole attempt, from the look-up to the last byte that is read.
 */
export function createSender({
  agent,
  timeoutMs,
  clock,
}: {
  readonly agent: Dispatcher;
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'now'>;
}): Sender {
  return {
    async send({ url, headers, body }) {
      const begun = performance.now();
      const durationMs = () => Math.round(performance.now() - begun);
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const {
          statusCode,
          headers: its,
          body: rest,
        } = await request(url, {
          method: 'POST',
          dispatcher: agent,
          headers: {
            ...headers,
            'content-type': 'application/json',
            'user-agent': USER_AGENT,
            accept: '*/*',
            // What is kept of the answer is text.
            'accept-encoding': 'identity',
          },
          body,
          signal,
        });
        const asked =
          statusCode === 429 || statusCode === 503 ? readRetryAfter(its['retry-after'], clock.now()) : undefined;
        const { text, cut } = await readAnswer(rest);
        return {
          status: statusCode,
          durationMs: durationMs(),
          answer: text,
          ...(asked === undefined ? {} : { retryAfterMs: asked }),
          ...(cut === undefined ? {} : { cause: `The answer broke off: ${explain(cut)}` }),
        };
      } catch (error) {
        return {
          error: signal.aborted ? 'timeout' : classify(error),
          durationMs: durationMs(),
          answer: '',
          cause: explain(error),
        };
      }
    },
  };
}

function classify(error: unknown): SendError {
  if (error instanceof AddressRefusedError) return 'unreachable';
  if (error instanceof TlsFailedError) return 'tls_failed';
  if (error instanceof LookupTimeoutError) return 'timeout';
  const { name, code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT') return 'timeout';
  if (name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW' || message === 'bad upgrade')
    return 'bad_answer';
  return 'unreachable';
}

/** The causes of an error as one line. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code}: ` : '';
  return [`${error.name}: ${code}${error.message}`, ...parts.map(explain)].join('; ');
}
