import { createServer } from 'node:net';

/** Below the ports that systems give to connections, and engines to containers. */
const FIRST = 20_000;
const SLICES = 120;
const OF_SLICE = 100;
/** Test files run in processes of their own, which shall not choose the same ports at the same time. */
const slice = FIRST + (process.pid % SLICES) * OF_SLICE;
let next = 0;

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });

/**
 * A port for a program that has to be told which, since others are told where it is before it starts.
 * @throws {Error} when none is free.
 */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < OF_SLICE; tried++) {
    const port = slice + (next++ % OF_SLICE);
    if (await isFree(port)) return port;
  }
  throw new Error(`None of the ports from ${slice} to ${slice + OF_SLICE - 1} is free.`);
}
