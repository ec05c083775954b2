import { createServer } from 'node:net';

/** Thrown when we could not listen. The message says what would help. */
export class PortError extends Error {
  override readonly name = 'PortError';
}

const REASONS: Readonly<Record<string, (host: string, port: number) => string>> = {
  EADDRINUSE: (host, port) =>
    `Port ${port} of ${host} is taken. Stop what uses it, or choose another, for instance PORT=${port < 65_535 ? port + 1 : 8080}.`,
  EACCES: (_host, port) => `Port ${port} is kept for the system. Set PORT to 1024 or more.`,
  EADDRNOTAVAIL: (host) => `HOST is ${host}, which is no address of this machine. Try 127.0.0.1.`,
  ENOTFOUND: (host) => `HOST is ${host}, a name that cannot be found. Try 127.0.0.1.`,
};

/**
 * Tries to listen, so that a port that is taken is told before anything is started.
 * @throws {PortError}
 */
export async function checkPort(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, resolve);
    });
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new PortError(REASONS[code]?.(host, port) ?? `Cannot listen on port ${port} of ${host}: ${message}.`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
