import { defineScript } from '../redis/script.ts';
import type { ScriptContext } from './script-context.ts';

type Args = Record<string, unknown>;
const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  ask: defineScript<Args, Record<string, never>>(here('ask-catch-up.lua')),
  take: defineScript<Args, { task?: CatchUp }>(here('take-catch-up.lua')),
  keep: defineScript<Args, { found: 'room' | 'full' | 'lost' }>(here('keep-catch-up.lua')),
};

/** A receiver that is to catch up on events: those from one time until another, in milliseconds since 1970. */
export interface CatchUp {
  readonly receiver: string;
  readonly account: string;
  readonly from: number;
  readonly until: number;
  /** Which of those who took it up this is. */
  readonly turn: number;
  /** How far it is, as it was kept. */
  readonly cursor?: string;
  /** What an endpoint hears, as `eventsField` makes it. */
  readonly events?: string;
}

/** Who is to catch up on what, in Redis. Every method throws `GenerationLostError`. */
export function createCatchUpStore({ redis, prefix, generation }: ScriptContext) {
  const known = () => ({ generation: generation.current });
  return {
    /** Has what ended since a time (milliseconds since 1970) read again for a receiver. */
    async requestCatchUp(receiver: string, account: string, since: number): Promise<void> {
      await scripts.ask(redis, prefix, { ...known(), receiver, account, since });
    },

    /** Takes a receiver that is to catch up, for `leaseMs`; undefined when there is none that has room. */
    async takeCatchUp(leaseMs: number): Promise<CatchUp | undefined> {
      return (await scripts.take(redis, prefix, { ...known(), lease_ms: leaseMs })).task;
    },

    /**
     * Says how far a receiver is, or without a cursor that it has caught up.
     * @param task as it was taken
     * @param leaseMs the lease from now; undefined ends it
     * @returns whether there is room for more; `lost`, with nothing changed, where the lease ran out and another took it
     */
    async keepCatchUp(
      { receiver, until, turn }: Pick<CatchUp, 'receiver' | 'until' | 'turn'>,
      cursor: string | undefined,
      leaseMs: number | undefined,
    ): Promise<'room' | 'full' | 'lost'> {
      const args = { ...known(), receiver, until, turn, cursor, lease_ms: leaseMs };
      return (await scripts.keep(redis, prefix, args)).found;
    },
  };
}
