import type { Clock } from '@renderyard/shared/clock';
import { parseCredits } from '@renderyard/shared/credits/amount';
import { Agent, type Dispatcher, request } from 'undici';
import { classifyStatus, upstreamMessage } from './classify.ts';
import { type AnswerHeaders, rateLimitReset, readFacts } from './facts.ts';
import { readJpegFrame } from './jpeg-frame.ts';
import type { AnswerFacts, Outcome, UnknownHow } from './outcome.ts';
import { noteSent } from './sent-flag.ts';
import { createSpool, type Spool, type SpooledBody } from './spool.ts';
import { type Framing, type Verified, verifyImage } from './verify-image.ts';

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
  readonly apiKey: string;
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
            'x-api-key': options.apiKey,
            'content-type': 'application/json',
            accept: '*/*',
            'accept-encoding': 'identity',
          },
          body: JSON.stringify(input),
          signal: AbortSignal.any([signal, timeout]),
        });
        facts = readFacts(answer.statusCode, answer.headers);
        if (answer.statusCode !== 200) {
          const message = upstreamMessage(await readText(answer.body));
          return classifyStatus(facts, message, rateLimitReset(answer.headers, options.clock.now()));
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
          headers: { 'x-api-key': options.apiKey, 'accept-encoding': 'identity' },
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

/** Streams the body of a 200 through hash and cap and verifies it. Throws when it breaks off. */
async function readImage(
  answer: Dispatcher.ResponseData,
  facts: AnswerFacts,
  id: string,
  options: SegmindOptions,
  holder: { current: Spool | undefined },
): Promise<Outcome> {
  const framing = framingOf(answer.headers);
  const length = framing === 'length' ? Number(answer.headers['content-length']) : undefined;
  if (length !== undefined && length > options.maxImageBytes) {
    answer.body.destroy();
    return { kind: 'too_large', facts };
  }
  const spool = createSpool({ folder: options.spoolFolder, name: id, cap: options.maxImageBytes, expected: length });
  holder.current = spool;
  for await (const chunk of answer.body) {
    if (!(await spool.write(chunk as Buffer))) {
      answer.body.destroy();
      await spool.discard();
      return { kind: 'too_large', facts };
    }
  }
  const received = await spool.end();
  const verified = await verify(received, framing);
  if (verified.ok) {
    const { body, bytes, sha256, discard } = received;
    return {
      kind: 'image',
      image: {
        body,
        bytes,
        sha256,
        discard,
        contentType: verified.contentType,
        extension: verified.extension,
        width: verified.width,
        height: verified.height,
      },
      facts,
    };
  }
  const decoded = decodeBase64Answer(received.body);
  await received.discard();
  if (decoded === undefined)
    return { kind: 'unknown', how: framing === 'close' ? 'cut' : 'bad_image', cause: verified.problem, facts };
  const inner = createSpool({
    folder: options.spoolFolder,
    name: id,
    cap: options.maxImageBytes,
    expected: decoded.length,
  });
  holder.current = inner;
  await inner.write(decoded);
  const image = await inner.end();
  const checked = await verify(image, framing);
  if (!checked.ok) {
    await image.discard();
    return { kind: 'unknown', how: 'bad_image', cause: checked.problem, facts };
  }
  return {
    kind: 'image',
    image: {
      ...image,
      contentType: checked.contentType,
      extension: checked.extension,
      width: checked.width,
      height: checked.height,
    },
    facts,
  };
}

async function verify(received: SpooledBody, framing: Framing): Promise<Verified> {
  const verified = verifyImage({ ...received, framing });
  const isJpeg = received.head[0] === 0xff && received.head[1] === 0xd8;
  if (verified.ok || !isJpeg || received.body instanceof Uint8Array) return verified;
  const frame = await readJpegFrame(received.body.path);
  return frame === undefined ? verified : verifyImage({ ...received, head: frame, framing });
}

/** `{"image": "<base64>"}`, as upstream answers `base64: true`, which we never ask for but would not throw away. */
function decodeBase64Answer(body: Uint8Array | { readonly path: string }): Buffer | undefined {
  if (!(body instanceof Uint8Array) || body[0] !== 0x7b) return undefined;
  try {
    const { image } = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')) as {
      image?: unknown;
    };
    return typeof image === 'string' ? Buffer.from(image.replace(/^data:[^,]*,/, ''), 'base64') : undefined;
  } catch {
    return undefined;
  }
}

function framingOf(headers: AnswerHeaders): Framing {
  if (/chunked/i.test(String(headers['transfer-encoding'] ?? ''))) return 'chunked';
  return typeof headers['content-length'] === 'string' && /^\d{1,15}$/.test(headers['content-length'])
    ? 'length'
    : 'close';
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

/**
 * `{"credits": 0.0, "free-credits": 0.0184921035}`: the two are added. How upstream itself adds them is not known.
 */
export function readBalance(body: string): number | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (parsed === null || typeof parsed !== 'object') return undefined;
  let sum: number | undefined;
  for (const name of ['credits', 'free-credits'] as const) {
    const value = (parsed as Record<string, unknown>)[name];
    if (value === undefined || value === null) continue;
    const amount =
      typeof value === 'number' || typeof value === 'string' ? parseCredits(String(value), 'down') : undefined;
    if (amount === undefined) return undefined;
    sum = (sum ?? 0) + amount;
  }
  return sum;
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const code = (error as { code?: unknown }).code ?? (error.cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : error.name;
}
