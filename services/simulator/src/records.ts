import { createHash } from 'node:crypto';
import { creditsNumber, formatCredits } from './credits.ts';
import { type ImageFormat, type RenderParameters, readParameters } from './parameters.ts';
import { parseJson } from './request-body.ts';
import type { Outcome } from './transmit.ts';

/** What was called. `other` is any path the upstream does not have. */
export type Endpoint = 'render' | 'credits' | 'catalogue' | 'other';

/** How a call ended. `pending` has not yet; `stopped` was cut by a reset or by the simulator's end. */
export type CallEnd = Outcome | 'pending' | 'stopped';
/** How a billed render was answered; `replaced` means that a whole answer went out, but not the image. */
export type RenderEnd = CallEnd | 'replaced';

/** A call that arrived, as it is kept. */
export interface CallRecord {
  readonly seq: number;
  /** Milliseconds since 1970, when the head of the request had arrived. */
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly endpoint: Endpoint;
  readonly contentType: string | null;
  body: Buffer;
  status: number | null;
  requestId: string | null;
  fault: string | null;
  end: CallEnd;
  endedAt: number | null;
}

/** A render that was billed, as it is kept. */
export interface LedgerRecord {
  readonly seq: number;
  readonly at: number;
  readonly requestId: string;
  readonly call: number;
  readonly slug: string;
  readonly body: Buffer;
  /** The seed that was really used, and the size. */
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  readonly cost: bigint;
  readonly balanceAfter: bigint;
  readonly image: { readonly sha256: string; readonly bytes: number; readonly atLeastBytes: number | undefined };
  readonly fault: string | null;
  end: RenderEnd;
}

/** A call that arrived, as the control endpoint shows it. */
export interface CallEntry {
  seq: number;
  at: string;
  ended_at: string | null;
  method: string;
  path: string;
  endpoint: Endpoint;
  /** Null when no status was sent: a hang, a reset, or a client that left. */
  status: number | null;
  answer: CallEnd;
  request_id: string | null;
  fault: string | null;
  content_type: string | null;
  body_bytes: number;
  body_sha256: string;
  /** Exactly as received; null when the body is no JSON object with a prompt that is a string. */
  prompt: string | null;
  /** The raw body, only when it is asked for with `bodies=true`. */
  body_base64?: string;
}

/** A billed render, as the control endpoint shows it. Amounts are credits, with the exact text beside the number. */
export interface LedgerEntry {
  seq: number;
  at: string;
  request_id: string;
  /** The number of its entry among the calls. */
  call: number;
  slug: string;
  prompt: string;
  /** The parameters as received, without the defaults. */
  parameters: Record<string, unknown>;
  seed: number;
  width: number;
  height: number;
  image_format: ImageFormat;
  cost: number;
  cost_exact: string;
  balance_after: number;
  balance_after_exact: string;
  image_sha256: string;
  image_bytes: number;
  answer: RenderEnd;
  fault: string | null;
  body_sha256: string;
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const time = (ms: number) => new Date(ms).toISOString();

function parseObject(body: Buffer): Record<string, unknown> | undefined {
  const value = parseJson(body)?.value;
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}

export function showCall(call: CallRecord, withBody: boolean): CallEntry {
  const { prompt } = parseObject(call.body) ?? {};
  return {
    seq: call.seq,
    at: time(call.at),
    ended_at: call.endedAt === null ? null : time(call.endedAt),
    method: call.method,
    path: call.path,
    endpoint: call.endpoint,
    status: call.status,
    answer: call.end,
    request_id: call.requestId,
    fault: call.fault,
    content_type: call.contentType,
    body_bytes: call.body.length,
    body_sha256: sha256(call.body),
    prompt: typeof prompt === 'string' ? prompt : null,
    ...(withBody ? { body_base64: call.body.toString('base64') } : {}),
  };
}

/** The parameters of a billed render, read once more from its body: only the body is kept. */
export function parametersOf(render: LedgerRecord): RenderParameters {
  const read = readParameters(parseObject(render.body));
  if ('parameters' in read) return read.parameters;
  throw new Error(`The body of the billed render ${render.requestId} cannot be read any more: ${read.refusal.message}`);
}

export function showRender(render: LedgerRecord): LedgerEntry {
  const { prompt, image_format } = parametersOf(render);
  return {
    seq: render.seq,
    at: time(render.at),
    request_id: render.requestId,
    call: render.call,
    slug: render.slug,
    prompt,
    parameters: parseObject(render.body) ?? {},
    seed: render.seed,
    width: render.width,
    height: render.height,
    image_format,
    cost: creditsNumber(render.cost),
    cost_exact: formatCredits(render.cost),
    balance_after: creditsNumber(render.balanceAfter),
    balance_after_exact: formatCredits(render.balanceAfter),
    image_sha256: render.image.sha256,
    image_bytes: render.image.bytes,
    answer: render.end,
    fault: render.fault,
    body_sha256: sha256(render.body),
  };
}
