import type { App } from '../app-instance.ts';
import { type ApiMetrics, CLIENT_LEFT, NO_ROUTE } from '../metrics/api-metrics.ts';

/** Counts and times every request when it is over. Must be called before the routes that it is to know. */
export function measureRequests(app: App, { metrics }: { readonly metrics: ApiMetrics }): void {
  app.addHook('onRoute', ({ url }) => metrics.addRoute(url));
  app.addHook('onRequest', async (request, reply) => {
    // Fastify's onResponse is not run for a client that left before its answer.
    reply.raw.once('close', () =>
      metrics.requestEnded({
        method: request.method,
        route: request.routeOptions.url ?? NO_ROUTE,
        status: reply.raw.writableFinished ? reply.statusCode : CLIENT_LEFT,
        seconds: reply.elapsedTime / 1000,
      }),
    );
  });
}
