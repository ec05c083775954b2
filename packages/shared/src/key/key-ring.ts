import { timingSafeEqual } from 'node:crypto';
import type { Redis } from '../redis/connect.ts';
import type { Generation } from '../redis/generation.ts';
import { defineScript } from '../redis/script.ts';
import type { KeyRecord } from './key-record.ts';
import type { FoundKey } from './key-records.ts';
import { hashToken, nameOfToken } from './key-token.ts';
import type { Scope } from './scope.ts';

/** A key as Redis knows it. */
interface RingEntry {
  readonly id: string;
  readonly sha256: string;
  readonly account: string;
  readonly scopes: readonly Scope[];
  readonly requests_per_minute?: number;
  readonly expires_at?: number;
}

/** How much of its limit a key has left. */
export interface KeyRate {
  /** Requests a minute. */
  readonly limit: number;
  readonly left: number;
  /** Until all of it is there again. */
  readonly resetMs: number;
  /** Present where this request is refused: until one is taken again. */
  readonly retryMs?: number;
}

/** What became of a token. */
export type KeyUse =
  | { readonly verdict: 'unknown' }
  | { readonly verdict: 'expired' }
  | {
      readonly verdict: 'yes';
      readonly key: Pick<RingEntry, 'id' | 'account' | 'scopes'>;
      /** Undefined where it has no limit. */
      readonly rate: KeyRate | undefined;
    };

interface UseAnswer {
  readonly entry?: RingEntry;
  readonly expired?: boolean;
  readonly rate?: {
    readonly limit: number;
    readonly left: number;
    readonly retry_ms?: number;
    readonly reset_ms: number;
  };
}

/** Keys put into Redis by one script. */
const PUT_AT_ONCE = 500;

const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  put: defineScript<Record<string, unknown>, { done: boolean }>(here('put-keys.lua')),
  use: defineScript<Record<string, unknown>, UseAnswer>(here('use-key.lua')),
};

export type KeyRing = ReturnType<typeof createKeyRing>;

/** API keys as Redis knows them, where each request looks. Every method throws what Redis throws. */
export function createKeyRing({
  redis,
  prefix,
  generation,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Pick<Generation, 'current'>;
}) {
  const put = (what: Record<string, unknown>) =>
    scripts.put(redis, prefix, { generation: generation.current, ...what });
  return {
    /** Puts keys as they lie in the store into force, or out of it. */
    async put(found: readonly FoundKey[]): Promise<void> {
      for (let from = 0; from < found.length; from += PUT_AT_ONCE) {
        const part = found.slice(from, from + PUT_AT_ONCE);
        const named = (all: readonly FoundKey[]) =>
          all.map(({ record }) => ({ name: record.token_name, id: record.id, entry: entryOf(record) }));
        await put({
          keys: named(part.filter(({ revoked }) => revoked === undefined)),
          revoked: named(part.filter(({ revoked }) => revoked !== undefined)),
        });
      }
    },

    /** Finds the key of a token, and counts the request. @throws {GenerationLostError} */
    async use(token: string): Promise<KeyUse> {
      const name = nameOfToken(token);
      if (name === undefined) return { verdict: 'unknown' };
      const sha256 = hashToken(token);
      const { entry, expired, rate } = await scripts.use(redis, prefix, {
        generation: generation.current,
        name,
        sha256,
      });
      if (entry === undefined || !areEqual(entry.sha256, sha256)) return { verdict: 'unknown' };
      if (expired === true) return { verdict: 'expired' };
      const { id, account, scopes } = entry;
      const { retry_ms: retryMs, reset_ms: resetMs } = rate ?? {};
      return {
        verdict: 'yes',
        key: { id, account, scopes },
        rate:
          rate === undefined || resetMs === undefined
            ? undefined
            : { limit: rate.limit, left: rate.left, resetMs, ...(retryMs === undefined ? {} : { retryMs }) },
      };
    },

    /** Whether a key was ever made, also one that holds no more. */
    async hasAny(): Promise<boolean> {
      const [held, revoked] = await Promise.all([
        redis.hlen(`${prefix}access`),
        redis.scard(`${prefix}access:revoked`),
      ]);
      return held + revoked > 0;
    },

    /** The accounts of all keys that hold. */
    async accounts(): Promise<readonly string[]> {
      const entries = await redis.hvals(`${prefix}access`);
      return [...new Set(entries.map((text) => (JSON.parse(text) as RingEntry).account))].sort();
    },

    /** When keys were used last, to a minute, in milliseconds since 1970, by id; an emptied Redis has forgotten it. */
    async lastUsed(): Promise<ReadonlyMap<string, number>> {
      const used = await redis.hgetall(`${prefix}access:used`);
      return new Map(Object.entries(used).map(([id, at]) => [id, Number(at)]));
    },
  };
}

/** In a time that tells nothing of where they differ. */
function areEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function entryOf({ id, sha256, account, scopes, limits, expires_at }: KeyRecord): string {
  const entry: RingEntry = {
    ...{ id, sha256, account, scopes },
    ...(limits.requests_per_minute === null ? {} : { requests_per_minute: limits.requests_per_minute }),
    ...(expires_at === null ? {} : { expires_at }),
  };
  return JSON.stringify(entry);
}
