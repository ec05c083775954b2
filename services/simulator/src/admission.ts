import type { IncomingMessage } from 'node:http';
import { type Answer, errorAnswer, NOT_ACCEPTABLE, statusAnswer } from './answer.ts';
import { type RenderParameters, readParameters } from './parameters.ts';
import type { CallEnd, CallRecord } from './records.ts';
import { parseJson } from './request-body.ts';
import type { Exchange } from './transmit.ts';
import type { World } from './world.ts';

/** One call to be rendered, and where it stands in the log of calls. */
export interface RenderCall {
  readonly exchange: Exchange;
  readonly record: CallRecord;
  readonly slug: string;
  /** Says in the ledger how the call ended; there once it is billed. */
  settle?: (end: CallEnd) => void;
}

/** The key that a call comes with, when it works. */
export function keyOf(world: World, { headers }: IncomingMessage): string | undefined {
  const key = headers['x-api-key'];
  return typeof key === 'string' && world.keys.works(key) ? key : undefined;
}

/** What is wrong with a call before its parameters are looked at. */
function refuse(world: World, { exchange, slug }: RenderCall): Answer | undefined {
  const { headers } = exchange.request;
  const key = keyOf(world, exchange.request);
  if (key === undefined) return statusAnswer(401);
  const model = world.models.find(slug);
  if (model !== 'known') return statusAnswer(model === 'retired' ? 410 : 404);
  if (!world.keys.allows(key, slug)) return statusAnswer(403);
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  if (type.trim().toLowerCase() !== 'application/json') return errorAnswer(406, NOT_ACCEPTABLE.content_type);
  if (world.rateLimit.take()) return undefined;
  const full = statusAnswer(429);
  const resetsAt = new Date(world.rateLimit.resetsAt()).toISOString();
  return { ...full, headers: [...full.headers, ['x-rate-limit-reset-at-utc', resetsAt]] };
}

/**
 * Checks a call in the upstream's order: key, model, content type, rate, body, parameters. What it costs is not looked at
 * here, and nothing is billed for a call that is refused.
 */
export function admit(
  world: World,
  call: RenderCall,
): { readonly parameters: RenderParameters } | { readonly refusal: Answer } {
  const refusal = refuse(world, call);
  if (refusal !== undefined) return { refusal };
  const body = parseJson(call.record.body);
  if (body === undefined) return { refusal: errorAnswer(400, 'The body is not valid JSON in UTF-8.') };
  const read = readParameters(body.value);
  if ('parameters' in read) return read;
  return { refusal: errorAnswer(read.refusal.status, read.refusal.message) };
}
