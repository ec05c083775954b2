import { defineScript } from '../redis/script.ts';
import type { ScriptContext } from './script-context.ts';

type Args = Record<string, unknown>;
const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  apply: defineScript<Args, { applied: boolean; deleted?: string[] }>(here('apply-endpoints.lua')),
  end: defineScript<Args, { ended: number }>(here('end-deliveries.lua')),
};

/** Deliveries ended by one script. */
const AT_ONCE = 500;

/** An endpoint as Redis is to know it. */
export interface KnownEndpoint {
  readonly id: string;
  readonly url: string;
  /** As `eventsField` makes it. */
  readonly events: string;
  readonly state: 'enabled' | 'disabled';
  readonly reason?: string;
  /** Milliseconds since 1970. */
  readonly disabledAt?: number;
  /** Sealed secrets, as JSON. */
  readonly secrets: string;
}

/** How it goes with a receiver. Times are milliseconds since 1970. */
export interface ReceiverState {
  readonly state: 'enabled' | 'disabled' | undefined;
  readonly reason: string | undefined;
  readonly disabledAt: number | undefined;
  /** It disabled itself, and the store does not know yet. */
  readonly undecided: boolean;
  readonly failingSince: number | undefined;
  /** From here on something was not kept for it, and has not been read again. */
  readonly missedSince: number | undefined;
  readonly lastSuccessAt: number | undefined;
  readonly lastFailureAt: number | undefined;
  /** Deliveries that wait for it. */
  readonly waiting: number;
}

/** Who receives deliveries, in Redis. Every method that changes something throws `GenerationLostError`. */
export function createReceiverStore({ redis, prefix, generation }: ScriptContext) {
  const known = () => ({ generation: generation.current });
  return {
    /**
     * Puts a decision about an account's endpoints into force, unless a later one is, and ends what waits for those that
     * are no longer there.
     */
    async applyEndpoints(decision: {
      readonly account: string;
      readonly seq: number;
      readonly at: number;
      readonly endpoints: readonly KnownEndpoint[];
    }): Promise<boolean> {
      const { applied, deleted } = await scripts.apply(redis, prefix, {
        ...known(),
        account: decision.account,
        seq: decision.seq,
        at: decision.at,
        endpoints: decision.endpoints.length === 0 ? undefined : decision.endpoints.map(snakeEndpoint),
      });
      for (const receiver of deleted ?? []) {
        while ((await scripts.end(redis, prefix, { ...known(), receiver, most: AT_ONCE })).ended === AT_ONCE);
      }
      return applied;
    },

    /** The `seq` of the decision about an account's endpoints that is in force; 0 where there is none. */
    async appliedSeq(account: string): Promise<number> {
      return Number((await redis.hget(`${prefix}endpoints:${account}`, 'seq')) ?? 0);
    },

    async receiver(id: string): Promise<ReceiverState> {
      const [hash, waiting, catchingUp] = await Promise.all([
        redis.hgetall(`${prefix}hook:${id}`),
        redis.zcard(`${prefix}dq:${id}`),
        redis.hget(`${prefix}catch-up:${id}`, 'from'),
      ]);
      const time = (name: string) => (hash[name] === undefined ? undefined : Number(hash[name]));
      const from = catchingUp === null ? undefined : Number(catchingUp);
      const missed = [time('missed_since'), time('catch_up'), from].filter((at) => at !== undefined);
      return {
        state: hash.state as ReceiverState['state'],
        reason: hash.reason,
        disabledAt: time('disabled_at'),
        undecided: hash.undecided !== undefined,
        failingSince: time('failing_since'),
        missedSince: missed.length === 0 ? undefined : Math.min(...missed),
        lastSuccessAt: time('last_success_at'),
        lastFailureAt: time('last_failure_at'),
        waiting,
      };
    },

    /** Endpoints that disabled themselves, of which the store does not know yet, with their accounts. */
    async undecided(): Promise<readonly { readonly id: string; readonly account: string }[]> {
      const ids = await redis.smembers(`${prefix}undecided-hooks`);
      const accounts = await Promise.all(ids.map((id) => redis.hget(`${prefix}hook:${id}`, 'account')));
      return ids.map((id, i) => ({ id, account: accounts[i] ?? '' }));
    },
  };
}

function snakeEndpoint({ disabledAt, ...endpoint }: KnownEndpoint) {
  return { ...endpoint, disabled_at: disabledAt };
}
