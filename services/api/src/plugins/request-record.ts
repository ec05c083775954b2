import type { Logger } from '@renderyard/shared/logger';
import type { App } from '../app-instance.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** What the request's one log record tells besides method, route, status and duration: no bodies, no keys. */
    record: Record<string, unknown>;
  }
}

/** Writes one wide record for each request when it is over. */
export function addRequestRecord(app: App, { logger }: { readonly logger: Logger }): void {
  // The empty value is never seen: the hook below runs first.
  app.decorateRequest('record', null as unknown as Record<string, unknown>);
  app.addHook('onRequest', async (request) => {
    request.record = {};
  });
  app.addHook('onResponse', async (request, reply) => {
    const record = {
      request_id: request.id,
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      status: reply.statusCode,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
      ...(reply.raw.writableFinished ? {} : { aborted: true }),
      ...request.record,
    };
    if (reply.statusCode >= 500) logger.error(record, 'request');
    else if (request.routeOptions.url?.startsWith('/health/')) logger.debug(record, 'request');
    else logger.info(record, 'request');
  });
}
