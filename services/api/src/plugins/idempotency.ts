import { createHash } from 'node:crypto';
import { describeError } from '@renderyard/shared/describe-error';
import { newId } from '@renderyard/shared/ids';
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
  }
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

  app.addHook('preHandler', async (request, reply) => {
    const key = request.method === 'POST' ? readKey(request) : undefined;
    if (key === undefined) return;
    const begun = await store.begin(`${request.account}:${key}`, fingerprint(request), newId('job'));
    switch (begun.status) {
      case 'reused':
        throw new ProblemError('idempotency_key_reused');
      case 'running':
        throw new ProblemError('idempotency_key_in_use', undefined, {
          retryAfter: Math.min(Math.ceil(begun.ms / 1000), 2),
        });
      case 'answered':
        return replay(reply, begun.answer);
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
    const ended = running.run.end(endOf(reply, payload)).catch((error: unknown) => {
      const record = { err: describeError(error), request_id: request.id };
      logger.warn(record, 'an answer could not be kept for its Idempotency-Key');
    });
    // Where Redis is down, waiting for it once more would make the answer late.
    if (reply.statusCode < 500) await ended;
  });
}

/** The id for what a request makes: the same in every run under one Idempotency-Key. */
export function resourceId(request: FastifyRequest): string {
  return request.idempotent?.run.resource ?? newId('job');
}

/** Whether an earlier run of this very request broke off, so that its change may be there already. */
export function isContinued(request: FastifyRequest): boolean {
  return request.idempotent?.run.continued ?? false;
}

function readKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) throw new ProblemError('invalid_idempotency_key');
  return key;
}

function fingerprint(request: FastifyRequest): string {
  return createHash('sha256').update(`${request.method} ${request.url}\n${request.bodyHash}`).digest('hex');
}

function replay(reply: FastifyReply, { status, headers, body }: KeptAnswer): FastifyReply {
  return reply.code(status).headers(headers).header('idempotency-replayed', 'true').send(body);
}

function endOf(reply: FastifyReply, payload: unknown): RunEnd {
  if (reply.statusCode >= 500 || typeof payload !== 'string') return { release: true };
  if (reply.statusCode >= 400) return { forget: true };
  const headers: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const value = reply.getHeader(name);
    if (value !== undefined) headers[name] = String(value);
  }
  return { answer: { status: reply.statusCode, headers, body: payload } };
}
