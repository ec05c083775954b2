import { newSecret } from '../ids.ts';
import type { Redis } from './connect.ts';

/**
 * The mark of the Redis that this installation works on. Every script is given it and refuses when it is missing or
 * another, so that an emptied or replaced Redis is noticed before anything is counted wrongly.
 */
export interface Generation {
  /** @throws when {@link Generation.join} has not succeeded yet. */
  readonly current: string;
  /** Reads the mark, or sets a new one where there is none. Returns true when it is not the one known before. */
  join(): Promise<boolean>;
}

export function createGeneration(redis: Redis, prefix: string): Generation {
  let current: string | undefined;
  return {
    get current() {
      if (current === undefined) throw new Error('the generation of Redis is not known yet');
      return current;
    },
    async join() {
      const key = `${prefix}generation`;
      await redis.set(key, newSecret(12), 'NX');
      const found = await redis.get(key);
      if (found === null) throw new Error('Redis lost the generation that was just set');
      const changed = current !== found;
      current = found;
      return changed;
    },
  };
}
