import type { Socket } from 'node:net';
import { looksLikeId } from '@renderyard/shared/ids';
import type { Logger } from '@renderyard/shared/logger';
import type { Origin } from '@renderyard/shared/origin';
import { endSpan, type Span, startSpan, traceField, traceparentOf } from '@renderyard/shared/tracing/spans';
import type { FastifyRequest } from 'fastify';
import type { App } from '../app-instance.ts';
import { CLIENT_LEFT } from '../metrics/api-metrics.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request's one log record tells besides method, route, status and duration: no bodies, no keys. */
    record: Record<string, unknown>;
    /** Its span; null for those who watch over the process: they ask often. */
    span: Span | null;
  }
}

/** Writes one wide record for each request when it is over. */
export function addRequestRecord(app: App, { logger }: { readonly logger: Logger }): void {
  const bytesOf = createByteCount();
  // The empty value is never seen: the hook below runs first.
  app.decorateRequest('record', null as unknown as Record<string, unknown>);
  app.decorateRequest('span', null);
  app.addHook('onRequest', async (request, reply) => {
    request.record = {};
    request.span = isWatching(request.routeOptions.url) ? null : beginSpan(request);
    // By then Node may have taken the socket from the request.
    const { socket } = request.raw;
    // Fastify's onResponse is not run for a client that left before its answer.
    reply.raw.once('close', () => {
      const route = request.routeOptions.url;
      const answered = reply.raw.writableFinished;
      const record = {
        request_id: request.id,
        method: request.method,
        route: route ?? 'unknown',
        status: answered ? reply.statusCode : CLIENT_LEFT,
        duration_ms: Math.round(reply.elapsedTime * 10) / 10,
        ...bytesOf(socket),
        ...withIdsOnly(request.record),
        ...(request.span === null ? {} : traceField(request.span)),
      };
      if (request.span !== null) finishSpan(request.span, record);
      if (answered && reply.statusCode >= 500) logger.error(record, 'request');
      else if (isWatching(route) && reply.statusCode < 400) logger.debug(record, 'request');
      else logger.info(record, 'request');
    });
  });
}

/** What is kept of a request with the job or the batch that it submits. */
export function originOf(request: FastifyRequest): Origin {
  return { request: request.id, traceparent: request.span === null ? undefined : traceparentOf(request.span) };
}

const isWatching = (route: string | undefined) => route === '/metrics' || (route?.startsWith('/health/') ?? false);

/** It goes on from the span of the client, where that sends one (`traceparent`). */
function beginSpan({ id, method, routeOptions: { url: route }, headers }: FastifyRequest): Span {
  const { traceparent } = headers;
  return startSpan(route === undefined ? method : `${method} ${route}`, {
    role: 'server',
    ...(typeof traceparent === 'string' ? { parent: traceparent } : {}),
    attributes: {
      'http.request.method': method,
      ...(route === undefined ? {} : { 'http.route': route }),
      'renderyard.request_id': id,
    },
  });
}

/** A path can hold anything where an id belongs, also a key that was pasted into the wrong place: only ids are told. */
function withIdsOnly(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).filter(
      ([name, value]) => !name.endsWith('_id') || (typeof value === 'string' && looksLikeId(value)),
    ),
  );
}

const TOLD = { account: 'renderyard.account', job_id: 'renderyard.job', batch_id: 'renderyard.batch' };

/** Of what the record tells, what a trace is looked for by. Only what is the server's fault makes a span fail. */
function finishSpan(span: Span, record: Readonly<Record<string, unknown>> & { readonly status: number }): void {
  const { status, error_code: code } = record;
  const told = Object.entries(TOLD).flatMap(([field, name]) => {
    const value = record[field];
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  const failure = status >= 500 ? (typeof code === 'string' ? code : String(status)) : undefined;
  endSpan(span, { 'http.response.status_code': status, ...Object.fromEntries(told) }, failure);
}

/**
 * Bytes of a request and of its answer as they went over the connection, heads included: what it has carried since the
 * request before. Of requests that are sent before the one before is answered, the first may be given what is the next's.
 */
function createByteCount(): (socket: Socket) => { readonly bytes_in: number; readonly bytes_out: number } {
  const before = new WeakMap<Socket, { readonly read: number; readonly written: number }>();
  return (socket) => {
    const { read, written } = before.get(socket) ?? { read: 0, written: 0 };
    const now = { read: socket.bytesRead, written: socket.bytesWritten };
    before.set(socket, now);
    return { bytes_in: now.read - read, bytes_out: now.written - written };
  };
}
