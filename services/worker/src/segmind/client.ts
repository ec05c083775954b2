import type { Clock } from '@renderyard/shared/clock';
import { Agent, type Dispatcher, request } from 'undici';
import { classifyStatus, upstreamMessage } from './classify.ts';
import { rateLimitReset, readFacts } from './facts.ts';
import type { AnswerFacts, Outcome, UnknownHow } from './outcome.ts';
import { readBalance } from './read-balance.ts';
import { readImage } from './read-image.ts';
import { noteSent } from './sent-flag.ts';
import type { Spool } from './spool.ts';
import type { UpstreamKey } from './upstream-key.ts';

/** What the balance call said. */
export type BalanceAnswer =
  | { readonly kind: 'balance'; readonly value: number }
  /** It answered, but with no usable number; there may be no such account. */
  | { readonly kind: 'unusable' }
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'unreachable'; readonly cause: string };

export interface SegmindClient {
  /**
   * Makes one call: one render, which cannot be repeated without paying again. Never throws; every way it can end is
   * an {@link Outcome}. `signal` breaks it off, which leaves its outcome unknown.
   */
  render(call: {
    readonly id: string;
    readonly model: string;
    readonly input: Readonly<Record<string, unknown>>;
    readonly signal: AbortSignal;
  }): Promise<Outcome>;
  /** Asks for the balance; costs nothing. Never throws. */
  balance(signal: AbortSignal): Promise<BalanceAnswer>;
  close(): Promise<void>;
}

export interface SegmindOptions {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly key: Pick<UpstreamKey, 'current' | 'version' | 'hide'>;
  /** Of a whole call, last byte included, in milliseconds. */
  readonly timeoutMs: number;
  readonly maxImageBytes: number;
  /** Folder for bodies too large for memory. */
  readonly spoolFolder: string;
  readonly clock: Clock;
}

const CONNECT_TIMEOUT_MS = 10_000;
const BALANCE_TIMEOUT_MS = 15_000;
/** An error's body beyond this is not read. */
const MOST_ERROR_BYTES = 64 * 1024;

/**
 * Segmind's synchronous protocol ("v1"). Each call has a connection of its own: on a kept one, a server that closes
 * it just as we write leaves a call that nobody can know, and a handshake is nothing beside a render of 17 s.
 */
export function createSegmindClient(options: SegmindOptions): SegmindClient {
  const agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    allowH2: false,
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: 64 * 1024,
  });

  return {
    async render({ id, model, input, signal }) {
      const timeout = AbortSignal.timeout(options.timeoutMs);
      const keyVersion = options.key.version;
      let sent = false;
      let facts: AnswerFacts | undefined;
      const spool: { current: Spool | undefined } = { current: undefined };
      try {
        const answer = await request(`${options.baseUrl}/v1/${encodeURIComponent(model)}`, {
          method: 'POST',
          dispatcher: agent.compose(
            noteSent(() => {
              sent = true;
            }),
          ),
          reset: true,
          headers: {
            'x-api-key': options.key.current(),
            'content-type': 'application/json',
            accept: '*/*',
            'accept-encoding': 'identity',
          },
          body: JSON.stringify(input),
          signal: AbortSignal.any([signal, timeout]),
        });
        facts = readFacts(answer.statusCode, answer.headers);
        if (answer.statusCode !== 200) {
          // The status says what to do, also where the rest of the answer breaks off.
          const body = await readText(answer.body).catch(() => '');
          const message = upstreamMessage(body, options.key.hide);
          const outcome = classifyStatus(facts, message, rateLimitReset(answer.headers, options.clock.now()));
          return outcome.kind === 'unauthorized' ? { ...outcome, keyVersion } : outcome;
        }
        return await readImage(answer, facts, id, options, spool);
      } catch (error) {
        await spool.current?.discard();
        if (!sent)
          return {
            kind: 'unreached',
            cause: causeOf(error),
            timeout: timeout.aborted || causeOf(error).includes('TIMEOUT'),
          };
        return { kind: 'unknown', how: howItBroke(signal, timeout, facts), cause: causeOf(error), facts };
      }
    },

    async balance(signal) {
      try {
        const answer = await request(`${options.baseUrl}/v1/get-user-credits`, {
          dispatcher: agent,
          reset: true,
          headers: { 'x-api-key': options.key.current(), 'accept-encoding': 'identity' },
          signal: AbortSignal.any([signal, AbortSignal.timeout(BALANCE_TIMEOUT_MS)]),
        });
        const body = await readText(answer.body);
        if (answer.statusCode === 401 || answer.statusCode === 403) return { kind: 'unauthorized' };
        if (answer.statusCode >= 500 || answer.statusCode === 429)
          return { kind: 'unreachable', cause: `status ${answer.statusCode}` };
        if (answer.statusCode !== 200) return { kind: 'unusable' };
        const value = readBalance(body);
        return value === undefined ? { kind: 'unusable' } : { kind: 'balance', value };
      } catch (error) {
        return { kind: 'unreachable', cause: causeOf(error) };
      }
    },

    close: () => agent.destroy(),
  };
}

function howItBroke(signal: AbortSignal, timeout: AbortSignal, facts: AnswerFacts | undefined): UnknownHow {
  if (signal.aborted) return 'shutdown';
  if (timeout.aborted) return 'timeout';
  return facts === undefined ? 'reset' : 'cut';
}

/** The beginning of a body, as text; the rest is thrown away. */
async function readText(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes >= MOST_ERROR_BYTES) break;
  }
  body.destroy();
  return Buffer.concat(chunks).subarray(0, MOST_ERROR_BYTES).toString('utf8');
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const code = (error as { code?: unknown }).code ?? (error.cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : error.name;
}
