import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import { keyOf, type RenderCall } from './admission.ts';
import { type Answer, errorAnswer, htmlAnswer, jsonAnswer, statusAnswer } from './answer.ts';
import { catalogueOf } from './catalogue.ts';
import { formatCredits } from './credits.ts';
import { deliver, waitOf } from './deliver.ts';
import type { Painter } from './image/painter.ts';
import type { Endpoint } from './records.ts';
import { createRenderCall } from './render-call.ts';
import { readBody } from './request-body.ts';
import type { World } from './world.ts';

const CREDITS_PATH = '/v1/get-user-credits';
const CATALOGUE_PATH = '/inference-model-information/list';
const MODEL_PATH = /^\/v1\/([^/]+)$/;

/** What is logged of a path and of a content type: a client's mistake must not fill the memory. */
const LONGEST_PATH = 500;
const LONGEST_TYPE = 200;

/** The beginning of a text from the head of a request, as a copy: a slice would keep all of the text alive. */
function beginning(text: string, most: number): string {
  return Buffer.from(text.slice(0, most), 'latin1').toString('latin1');
}

function endpointOf(path: string): {
  readonly endpoint: Endpoint;
  readonly verb: 'GET' | 'POST';
  readonly slug: string;
} {
  if (path === CREDITS_PATH) return { endpoint: 'credits', verb: 'GET', slug: '' };
  if (path === CATALOGUE_PATH) return { endpoint: 'catalogue', verb: 'GET', slug: '' };
  const slug = MODEL_PATH.exec(path)?.[1];
  return slug === undefined ? { endpoint: 'other', verb: 'GET', slug: '' } : { endpoint: 'render', verb: 'POST', slug };
}

/** The paths that the real upstream has. `world` is asked for at each call, since a reset replaces it. */
export function createUpstream(options: {
  readonly world: () => World;
  readonly clock: Clock;
  readonly painter: Painter;
  readonly logger?: Logger | undefined;
}) {
  const { clock } = options;
  const renderCall = createRenderCall(options);

  const creditsAnswer = (world: World): Answer => {
    const { balance, free } = world.account.snapshot();
    // Written by hand: JSON.stringify would round, and give small amounts an exponent.
    return jsonAnswer(200, `{"credits":${formatCredits(balance - free)},"free-credits":${formatCredits(free)}}`);
  };

  const answerPlain = async (world: World, call: RenderCall, normal: Answer) => {
    const { record } = call;
    const { endpoint } = record;
    world.ordinals[endpoint] += 1;
    const ordinal = world.ordinals[endpoint];
    const fault = endpoint === 'other' ? undefined : world.faults.pick({ endpoint, ordinal, turn: ordinal });
    record.fault = fault?.rule ?? null;
    return deliver({ world, clock }, call, normal, fault, waitOf(fault));
  };

  const answer = async (world: World, call: RenderCall, verb: 'GET' | 'POST') => {
    const { request } = call.exchange;
    const { record } = call;
    const { end, body } = await readBody(request);
    record.body = body;
    world.calls.grew(record.seq, body.length);
    if (end === 'gone') {
      record.end = 'client_gone';
      return;
    }
    if (end === 'too_large') {
      const tooLarge = statusAnswer(413);
      return deliver({ world, clock }, call, { ...tooLarge, headers: [...tooLarge.headers, ['connection', 'close']] });
    }
    if (record.endpoint === 'other') return answerPlain(world, call, errorAnswer(404, 'Not found.'));
    if (request.method !== verb) {
      const page = htmlAnswer(405);
      return deliver({ world, clock }, call, { ...page, headers: [...page.headers, ['allow', verb]] });
    }
    if (record.endpoint === 'credits') {
      // As with renders, a call that is refused uses up no fault.
      if (keyOf(world, request) === undefined) return deliver({ world, clock }, call, statusAnswer(401));
      return answerPlain(world, call, creditsAnswer(world));
    }
    if (record.endpoint === 'catalogue')
      return answerPlain(world, call, jsonAnswer(200, catalogueOf(world.models.known())));
    return renderCall(world, call);
  };

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const world = options.world();
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
    const { endpoint, verb, slug } = endpointOf(path);
    const contentType = request.headers['content-type'];
    const record = world.calls.push((seq) => ({
      seq,
      at: clock.now(),
      method: request.method ?? '',
      path: beginning(path, LONGEST_PATH),
      endpoint,
      contentType: contentType === undefined ? null : beginning(contentType, LONGEST_TYPE),
      body: Buffer.alloc(0),
      status: null,
      requestId: null,
      fault: null,
      end: 'pending',
      endedAt: null,
    }));
    const call: RenderCall = { exchange: { request, response }, record, slug };
    // A connection that fails is the client's business: it shows in how the call ended.
    response.on('error', () => undefined);
    world.inFlight.add(request);
    try {
      await answer(world, call, verb);
    } catch (error) {
      options.logger?.error({ err: error, path }, 'a call failed inside the simulator');
      if (!response.headersSent) await deliver({ world, clock }, call, statusAnswer(500));
      else request.socket.destroy();
    } finally {
      world.inFlight.delete(request);
      if (record.end === 'pending') record.end = 'stopped';
      call.settle?.(record.end);
      record.endedAt = clock.now();
    }
  };
}
