import { createServer } from 'node:net';

/**
 * A TCP port of the loopback address that is free now. Somebody else may take it before it is used, so whoever
 * uses it must be ready to ask again.
 */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('The system gave no port for 127.0.0.1:0.');
  return address.port;
}
