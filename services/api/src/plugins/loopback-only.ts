import { isForeignPage, isLoopbackHostHeader } from '../access/loopback.ts';
import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';

/** Asked by orchestrators under whatever name; it tells nothing but that the process runs. */
const OPEN = '/health/live';

/**
 * For a server without API keys. Listening on loopback is not enough: a page in the user's browser can reach it under
 * a name that it makes point here (DNS rebinding), or send it forms and simple requests from its own origin.
 */
export function allowLoopbackOnly(app: App): void {
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.url === OPEN) return;
    const { host, origin, 'sec-fetch-site': site } = request.headers;
    if (!isLoopbackHostHeader(host)) throw new ProblemError('host_not_allowed');
    const { protocol: scheme } = request;
    if (isForeignPage({ scheme, host, origin, site: site?.toString() })) throw new ProblemError('origin_not_allowed');
  });
}
