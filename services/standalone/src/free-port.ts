import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ports that systems give to outgoing connections (32768 and up on Linux, 49152 on macOS; RFC 6335, 8.1.2):
 * a server that dies must find its port free when it is started again, and not in use by somebody's connection.
 */
const RANGE = { first: 16_000, end: 32_000 } as const;
/** Ports that are tried before the system is left to choose. */
const ATTEMPTS = 50;

/**
 * A TCP port of the loopback address that is free now. Somebody else may take it before it is used, so whoever
 * uses it must be ready to ask again.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(RANGE.first, RANGE.end);
    if ((await listenOnce(port)) !== undefined) return port;
  }
  const port = await listenOnce(0);
  if (port === undefined) throw new Error('The system gave no port for 127.0.0.1:0.');
  return port;
}

/** @returns the port, if it could be listened on. */
async function listenOnce(wanted: number): Promise<number | undefined> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(wanted, '127.0.0.1', () => resolve(true));
  });
  if (!listens) return undefined;
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : undefined;
}
