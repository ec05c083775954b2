import type { App } from '../app-instance.ts';

/** Headers of every answer. Routes that serve pages or images set what they need instead. */
export function securityHeaders(): Record<string, string> {
  return {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  };
}

/** Sets them before any route runs. */
export function addSecurityHeaders(app: App): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...securityHeaders(), 'x-request-id': request.id });
  });
}
