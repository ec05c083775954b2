import type { Metrics } from '@renderyard/shared/metrics/metrics';
import type { App } from '../app-instance.ts';

/**
 * `GET /metrics`, for Prometheus: what METRICS_PORT serves without a key. It stands in a scope that asks for a key, where
 * there are any.
 */
export function metricsRoute(app: App, { metrics }: { readonly metrics: Pick<Metrics, 'read'> }): void {
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await metrics.read();
    return reply.type(contentType).send(body);
  });
}
