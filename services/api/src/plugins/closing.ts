import type { App } from '../app-instance.ts';

/**
 * While the server closes, every answer tells its client to use the connection no more. Otherwise the server would
 * wait for connections that are kept open for requests which may never come.
 */
export function addClosing(app: App): void {
  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });
}
