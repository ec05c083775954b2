import { createHash } from 'node:crypto';
import { describeError } from '@renderyard/shared/describe-error';
import { type IdPrefix, newId } from '@renderyard/shared/ids';
import type { Logger } from '@renderyard/shared/logger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';
import {
  type IdempotencyStore,
  type KeptAnswer,
  RENEW_MS,
  type Run,
  type RunEnd,
} from '../idempotency/idempotency-store.ts';

interface RunningRequest {
  readonly run: Run;
  readonly renewal: NodeJS.Timeout;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The run under the request's Idempotency-Key; null without one. */
    idempotent: RunningRequest | null;
    /** Of a streamed body: what the first request with the key was answered; null without one. */
    answeredBefore: AnsweredBefore | null;
  }
  interface FastifyContextConfig {
    /** What a route makes, and so the kind of id that is drawn for it; a job if left out. */
    readonly makes?: IdPrefix;
    /**
     * The body is a stream that the route reads itself: what was sent is not known when a request begins. The route
     * says so later, by {@link tellContent}, and answers a repeated request itself, by {@link replay}.
     */
    readonly isUpload?: boolean;
    /** The answer holds a secret: it is sealed where it is kept. */
    readonly answersSecret?: boolean;
  }
}

interface AnsweredBefore {
  readonly answer: KeptAnswer;
  readonly content: string | undefined;
}

/** Headers that are part of an answer and are given again with it. */
const KEPT_HEADERS = ['content-type', 'location', 'preference-applied'];

/**
 * `Idempotency-Key` on every POST of this scope: the request runs once, and whoever sends it again gets the same
 * answer. What was refused (4xx) changed nothing and is not kept, so that it can be corrected under the same key.
 */
export function addIdempotency(
  app: App,
  { store, logger }: { readonly store: IdempotencyStore; readonly logger: Logger },
): void {
  app.decorateRequest('idempotent', null);
  app.decorateRequest('answeredBefore', null);

  app.addHook('preHandler', async (request, reply) => {
    const key = request.method === 'POST' ? readKey(request) : undefined;
    if (key === undefined) return;
    const begun = await store.begin(`${request.account}:${key}`, fingerprint(request), drawId(request));
    switch (begun.status) {
      case 'reused':
        throw new ProblemError('idempotency_key_reused');
      case 'running':
        throw new ProblemError('idempotency_key_in_use', undefined, {
          retryAfter: Math.min(Math.ceil(begun.ms / 1000), 2),
        });
      case 'answered':
        if (!request.routeOptions.config.isUpload) return replay(reply, begun.answer);
        request.answeredBefore = begun;
        return;
      case 'run': {
        const renewal = setInterval(() => {
          begun.run.renew().catch(() => undefined);
        }, RENEW_MS).unref();
        request.idempotent = { run: begun.run, renewal };
      }
    }
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const running = request.idempotent;
    if (running === null) return;
    clearInterval(running.renewal);
    const ended = running.run.end(endOf(request, reply, payload)).catch((error: unknown) => {
      const record = { err: describeError(error), request_id: request.id };
      logger.warn(record, 'an answer could not be kept for its Idempotency-Key');
    });
    // Where Redis is down, waiting for it once more would make the answer late.
    if (reply.statusCode < 500) await ended;
  });
}

/** The id for what a request makes: the same in every run under one Idempotency-Key. */
export function resourceId(request: FastifyRequest): string {
  return request.idempotent?.run.resource ?? drawId(request);
}

/** Whether an earlier run of this very request broke off, so that its change may be there already. */
export function isContinued(request: FastifyRequest): boolean {
  return request.idempotent?.run.continued ?? false;
}

function drawId(request: FastifyRequest): string {
  return newId(request.routeOptions.config.makes ?? 'job');
}

/**
 * Says what a streamed body was found to be, before anything is made of it.
 * @throws {ProblemError} `idempotency_key_reused` where the key belongs to another body; the first request with the key
 * stays as it is.
 */
export async function tellContent(request: FastifyRequest, content: string): Promise<void> {
  const running = request.idempotent;
  if (running === null) return;
  const first = await running.run.tell(content);
  if (first === undefined) throw new ProblemError('idempotency_key_in_use', undefined, { retryAfter: 2 });
  if (first === content) return;
  clearInterval(running.renewal);
  request.idempotent = null;
  await running.run.end({ release: true });
  throw new ProblemError('idempotency_key_reused');
}

function readKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) throw new ProblemError('invalid_idempotency_key');
  return key;
}

/** What is known of a request as it begins. Of an upload the options are part of its content, wherever they stand. */
function fingerprint({ method, url, bodyHash, routeOptions }: FastifyRequest): string {
  const what = routeOptions.config.isUpload ? `${method} ${routeOptions.url}` : `${method} ${url}\n${bodyHash}`;
  return createHash('sha256').update(what).digest('hex');
}

/** Gives a kept answer again. */
export function replay(reply: FastifyReply, { status, headers, body }: KeptAnswer): FastifyReply {
  Object.assign(reply.request.record, { replayed: true, ...madeAt(headers.location) });
  return reply.code(status).headers(headers).header('idempotency-replayed', 'true').send(body);
}

/** What the first request made, for the log; its answer said where it is. */
function madeAt(location: string | undefined): Readonly<Record<string, string>> {
  const id = location?.split('/').at(-1);
  const kind = /^(job|bat|whk)_/.exec(id ?? '')?.[1];
  if (id === undefined || kind === undefined) return {};
  return kind === 'job' ? { job_id: id } : kind === 'bat' ? { batch_id: id } : { webhook_id: id };
}

function endOf(request: FastifyRequest, reply: FastifyReply, payload: unknown): RunEnd {
  if (reply.statusCode >= 500 || typeof payload !== 'string') return { release: true };
  if (reply.statusCode >= 400) return { forget: true };
  const headers: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value = reply.getHeader(name);
    if (value !== undefined) headers[name] = String(value);
  }
  const sealed = request.routeOptions.config.answersSecret ?? false;
  return { answer: { status: reply.statusCode, headers, body: payload }, sealed };
}
