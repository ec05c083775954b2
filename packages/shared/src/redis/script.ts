import { readFileSync } from 'node:fs';
import type { Redis } from './connect.ts';

/** Thrown when Redis is not the one that this process knows: it was emptied or replaced. Nothing was changed. */
export class GenerationLostError extends Error {
  override readonly name = 'GenerationLostError';
}

const INCLUDE = /^-- include (\S+)$/gm;

/** The text of a Lua file with its `-- include other.lua` lines replaced by those files, each once. */
export function loadLua(file: URL, seen = new Set<string>()): string {
  if (seen.has(file.href)) return '';
  seen.add(file.href);
  return readFileSync(file, 'utf8').replace(INCLUDE, (_, path: string) => loadLua(new URL(path, file), seen));
}

/** Arguments of a script: one object, read in Lua as `a`. Undefined members are left out. */
export type ScriptArguments = Readonly<Record<string, unknown>>;

let commands = 0;

/**
 * A Lua script as a function. Every script has one key, the prefix of all our keys, which carries the hash tag; its
 * arguments come as one JSON object; it answers with JSON.
 * @throws {GenerationLostError} when the script refuses because of the generation.
 */
export function defineScript<A extends ScriptArguments, R>(
  file: URL,
): (redis: Redis, prefix: string, args: A) => Promise<R> {
  const lua = loadLua(file);
  const command = `renderyard${commands++}`;
  return async (redis, prefix, args) => {
    const commandsOf = redis as unknown as Record<string, (...values: string[]) => Promise<string>>;
    if (commandsOf[command] === undefined) redis.defineCommand(command, { numberOfKeys: 1, lua });
    try {
      const answer = await commandsOf[command]?.call(redis, prefix, JSON.stringify(args));
      return JSON.parse(answer ?? 'null') as R;
    } catch (error) {
      if (error instanceof Error && error.message.includes('GENERATION'))
        throw new GenerationLostError('Redis was emptied or replaced');
      throw error;
    }
  };
}
