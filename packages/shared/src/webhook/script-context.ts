import type { Redis } from '../redis/connect.ts';
import type { Generation } from '../redis/generation.ts';

/** What scripts are called with: where, and on which Redis as this process knows it. */
export interface ScriptContext {
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Pick<Generation, 'current'>;
}
