import type { App } from '../app-instance.ts';
import { ProblemError } from '../errors/problem-error.ts';

/**
 * Refuses requests with several Host headers, or none in HTTP/1.1, as RFC 9112 (3.2) asks: of several, Node shows the
 * first, and whoever stands between may have gone by another. Node's own check for a missing one must be off.
 */
export function requireOneHost(app: App): void {
  app.addHook('onRequest', async ({ raw }) => {
    const hosts = raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
    if (hosts > 1) throw new ProblemError('malformed_http', `A request has one Host header; this one has ${hosts}.`);
    if (hosts === 0 && raw.httpVersion !== '1.0')
      throw new ProblemError('malformed_http', 'A request of HTTP/1.1 must have a Host header; this one has none.');
  });
}
