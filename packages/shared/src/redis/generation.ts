import { NewerStateError } from '../upgrade/newer-state-error.ts';
import { newMark, readMark, STATE_VERSION } from '../upgrade/state-version.ts';
import type { Redis } from './connect.ts';
import { GenerationLostError } from './script.ts';

/**
 * The mark of the Redis that this installation works on. Every script is given it and refuses when it is missing or
 * another, so that an emptied or replaced Redis is noticed before anything is counted wrongly.
 */
export interface Generation {
  /** @throws {GenerationLostError} when the mark has not been found yet. */
  readonly current: string;
  /** The same; undefined where `current` throws. */
  readonly known: string | undefined;
  /**
   * Reads the mark and works with it from now on. `missing`: there is none; `older`: the data is of an older version, or
   * half-way to this one, and is to be upgraded first. In both cases what was known before stays.
   * @throws {NewerStateError} for data of a newer version.
   */
  find(): Promise<'missing' | 'older' | 'known' | 'new'>;
  /**
   * The same, and sets a new mark where there is none: for a Redis that owes nothing to a store. What serves users
   * rebuilds such a Redis first, see recovery.ts. Returns true when the mark is not the one known before.
   */
  join(): Promise<boolean>;
}

/** Where the mark stands. */
export const generationKey = (prefix: string) => `${prefix}generation`;
/** Beside it, which version of Renderyard has set it. */
const writtenByKey = (prefix: string) => `${prefix}written_by`;

/** @param stateVersion the version of the data that this process works with. */
export function createGeneration(redis: Redis, prefix: string, stateVersion = STATE_VERSION): Generation {
  let current: string | undefined;
  const key = generationKey(prefix);
  const find: Generation['find'] = async () => {
    const found = await redis.get(key);
    if (found === null) return 'missing';
    const { version, upgradedFrom } = readMark(found);
    if (version > stateVersion) {
      const writtenBy = (await redis.get(writtenByKey(prefix))) ?? undefined;
      throw new NewerStateError({ where: 'Redis', found: version, known: stateVersion, writtenBy });
    }
    if (version < stateVersion || upgradedFrom !== undefined) return 'older';
    const changed = current !== found;
    current = found;
    return changed ? 'new' : 'known';
  };
  return {
    get current() {
      if (current === undefined) throw new GenerationLostError('the generation of Redis is not known yet');
      return current;
    },
    get known() {
      return current;
    },
    find,
    async join() {
      await redis.set(key, newMark({ version: stateVersion }), 'NX');
      const found = await find();
      if (found === 'missing') throw new Error('Redis lost the generation that was just set');
      if (found === 'older') throw new Error('Redis holds data of an older version, which is to be upgraded first');
      return found === 'new';
    },
  };
}
