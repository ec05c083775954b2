import type { Redis } from '../redis/connect.ts';
import { defineScript } from '../redis/script.ts';
import { newMark } from '../upgrade/state-version.ts';
import { VERSION } from '../version.ts';
import { LOCK_MS, renewLock } from './renew-lock.ts';

/** A worker that has not told of its calls for this long is dead. */
const SILENT_MS = 10_000;

const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  take: defineScript<Record<string, unknown>, { verdict: 'taken' | 'marked' } | { verdict: 'ours'; now: number }>(
    here('take-lock.lua'),
  ),
  keep: defineScript<Record<string, unknown>, { ours: boolean }>(here('keep-lock.lua')),
  mark: defineScript<Record<string, unknown>, { done: boolean }>(here('set-mark.lua')),
  report: defineScript<Record<string, unknown>, Record<string, never>>(here('report-calls.lua')),
  calls: defineScript<Record<string, unknown>, { workers: number; calls: number }>(here('calls-in-flight.lua')),
};

/** The right to rebuild a Redis, for as long as `signal` has not aborted. */
export interface RebuildLock {
  /** Becomes the mark. Scripts that are given it as their generation pass as long as the lock is held. */
  readonly token: string;
  /** When the lock was taken, in milliseconds since 1970 by Redis's clock. */
  readonly takenAt: number;
  /** Aborts with a `GenerationLostError` once the lock is another's, or may be. */
  readonly signal: AbortSignal;
  /** Sets the mark, and beside it the id of the store that it was rebuilt from. @returns false, with nothing changed, when the lock is another's. */
  setMark(store: string): Promise<boolean>;
  /** Ends the lock, if it is held still. */
  release(): Promise<void>;
}

export type RebuildLocks = ReturnType<typeof createRebuildLocks>;

/**
 * One process rebuilds; the token keeps out one that was frozen meanwhile: whatever it still writes goes through
 * scripts that look whether the lock is its own, and so does the mark, in the same step in which it is set.
 */
export function createRebuildLocks({
  redis,
  prefix,
  stateVersion,
}: {
  readonly redis: Redis;
  readonly prefix: string;
  readonly stateVersion: number;
}) {
  return {
    /** @returns undefined when another process has the lock, or there is a mark. */
    async take(): Promise<RebuildLock | undefined> {
      const token = newMark({ version: stateVersion });
      const renewedAt = performance.now();
      const taken = await scripts.take(redis, prefix, { token, ms: LOCK_MS });
      if (taken.verdict !== 'ours') return undefined;
      const renewal = renewLock({
        renewedAt,
        keep: async () => (await scripts.keep(redis, prefix, { token, ms: LOCK_MS })).ours,
        lost: 'another process rebuilds this Redis',
      });
      return {
        token,
        takenAt: taken.now,
        signal: renewal.signal,
        setMark: async (store) => (await scripts.mark(redis, prefix, { token, written_by: VERSION, store })).done,
        release: async () => {
          renewal.stop();
          await scripts.keep(redis, prefix, { token });
        },
      };
    },

    /** Tells how many calls a worker has in flight. */
    async report(worker: string, calls: number): Promise<void> {
      await scripts.report(redis, prefix, { worker, calls });
    },

    /** How many workers have told, and how many calls they have in flight. */
    async callsInFlight(): Promise<{ readonly workers: number; readonly calls: number }> {
      return scripts.calls(redis, prefix, { silent_ms: SILENT_MS });
    },
  };
}
