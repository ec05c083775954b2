import type { App } from '../app-instance.ts';

/**
 * While the server closes, every answer tells its client to use the connection no more. Otherwise the server would
 * wait for connections that are kept open for requests which may never come. An answer whose head was sent before, as
 * of a stream of events or a download, cannot say so any more: its connection is ended with it.
 */
export function addClosing(app: App): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.server.on('request', ({ socket }, response) => {
    response.once('finish', () => {
      if (closing && response.shouldKeepAlive) socket.destroySoon();
    });
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
}
