import type { IncomingMessage } from 'node:http';
import type { App } from '../app-instance.ts';
import { answerClientError } from './problem-replies.ts';

/**
 * A request must have arrived after `requestMs`, its body included: a bound for senders of a byte a second. Uploads
 * (see `isUpload` of a route) may take longer; they have rules of their own.
 */
export function boundRequestTime(app: App, { requestMs }: { readonly requestMs: number }): void {
  app.addHook('onRequest', async (request, reply) => {
    const { raw } = request;
    if (!hasBody(raw) || request.routeOptions.config.isUpload) return;
    const timer = setTimeout(() => {
      if (raw.complete) return;
      if (reply.raw.headersSent) raw.socket.destroy();
      else answerClientError(Object.assign(new Error('too slow'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), raw.socket);
    }, requestMs).unref();
    raw.once('close', () => clearTimeout(timer));
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}
