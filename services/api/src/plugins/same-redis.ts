import type { Redis } from '@renderyard/shared/redis/connect';
import { type Generation, generationKey } from '@renderyard/shared/redis/generation';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { App } from '../app-instance.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of this request's facts: whether all of them came from one Redis. */
    sameRedis: SameRedis;
  }
  interface FastifyContextConfig {
    /** What the route answers does not come from Redis. */
    readonly needsNoRedis?: boolean;
  }
}

/**
 * To be called after facts were read from Redis, and before they are told.
 * @throws {GenerationLostError} when they may be wrong: Redis was emptied or replaced since the reading began.
 */
export type SameRedis = () => Promise<void>;

/** Begins a reading of facts. */
export type BeginReading = () => SameRedis;

/** Tells by the mark of Redis, which is lost with everything else; most reads are no scripts that would look for it. */
export function createBeginReading({
  redis,
  prefix,
  generation,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Pick<Generation, 'known'>;
}): BeginReading {
  return () => {
    const { known } = generation;
    return async () => {
      if (known === undefined || (await redis.get(generationKey(prefix))) !== known)
        throw new GenerationLostError('Redis was emptied or replaced while it was read');
    };
  };
}

/** Has no GET of this scope answer in JSON what an emptied Redis said. What is streamed is checked as it is read. */
export function readSameRedis(app: App, { beginReading }: { readonly beginReading: BeginReading }): void {
  // The empty value is never seen: the hook below runs first.
  app.decorateRequest('sameRedis', null as unknown as SameRedis);
  app.addHook('onRequest', async (request) => {
    request.sameRedis = beginReading();
  });
  app.addHook('preSerialization', async (request, _reply, payload) => {
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    if (isRead && request.routeOptions.config.needsNoRedis !== true) await request.sameRedis();
    return payload;
  });
}
