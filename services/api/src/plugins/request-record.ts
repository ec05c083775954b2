import type { Logger } from '@renderyard/shared/logger';
import type { App } from '../app-instance.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request's one log record tells besides method, route, status and duration: no bodies, no keys. */
    record: Record<string, unknown>;
  }
}

/** What nginx writes for a client that closed its connection before it was answered. */
const CLIENT_LEFT = 499;

/** Writes one wide record for each request when it is over. */
export function addRequestRecord(app: App, { logger }: { readonly logger: Logger }): void {
  // The empty value is never seen: the hook below runs first.
  app.decorateRequest('record', null as unknown as Record<string, unknown>);
  app.addHook('onRequest', async (request, reply) => {
    request.record = {};
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
        ...request.record,
      };
      if (answered && reply.statusCode >= 500) logger.error(record, 'request');
      else if (route?.startsWith('/health/')) logger.debug(record, 'request');
      else logger.info(record, 'request');
    });
  });
}
