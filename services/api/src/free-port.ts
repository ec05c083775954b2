import { createServer } from 'node:net';
import type { Config } from '@renderyard/shared/config';

/** Free ports that are tried. */
const PORT_ATTEMPTS = 20;

/**
 * With PORT=0 the system chooses the port. It is chosen before listening, because links are made with it; when
 * another process takes it in the moment between, another one is chosen.
 */
export async function onFreePort<T>(config: Config, listen: (config: Config) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(config.HOST);
    try {
      return await listen({ ...config, PORT: port, PUBLIC_URL: config.PUBLIC_URL.replace(/:0$/, `:${port}`) });
    } catch (error) {
      const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!taken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function freePort(host: string): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}
