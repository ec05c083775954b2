import type { Redis } from 'ioredis';

/**
 * Sends what a connection is given within one turn of the event loop as one write, so that a busy worker and Redis go
 * to the network once for the scripts of several jobs. A command waits for what else is ready to run, well below a
 * millisecond. ioredis has automatic pipelines for this, but each waits for the answers to the one before.
 */
export function gatherWrites(redis: Redis): void {
  redis.on('connect', () => {
    const { stream } = redis;
    const write = stream.write;
    let gathering = false;
    const release = () => {
      gathering = false;
      stream.uncork();
    };
    stream.write = ((...args: Parameters<typeof write>) => {
      if (!gathering) {
        gathering = true;
        stream.cork();
        setImmediate(release);
      }
      return write.apply(stream, args);
    }) as typeof write;
  });
}
