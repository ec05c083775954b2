import { LOCK_MS, renewLock } from '../recovery/renew-lock.ts';
import type { Redis } from '../redis/connect.ts';
import { defineScript, GenerationLostError } from '../redis/script.ts';
import { VERSION } from '../version.ts';
import { newMark } from './state-version.ts';

const here = (file: string) => new URL(file, import.meta.url);
const scripts = {
  take: defineScript<Record<string, unknown>, { verdict: 'ours' | 'taken' | 'changed'; now?: number }>(
    here('take-upgrade.lua'),
  ),
  keep: defineScript<Record<string, unknown>, { ours: boolean }>(here('keep-upgrade.lua')),
  begin: defineScript<Record<string, unknown>, { verdict: 'begun' | 'waits' | 'lost'; calls?: number }>(
    here('begin-upgrade.lua'),
  ),
  finish: defineScript<Record<string, unknown>, { done: boolean }>(here('finish-upgrade.lua')),
};

/** The right to upgrade, for as long as `signal` has not aborted. It is the lock under which Redis is rebuilt. */
export interface UpgradeLock {
  /** Becomes the mark. Scripts that are given it as their generation pass as long as the lock is held. */
  readonly token: string;
  /** Aborts with a `GenerationLostError` once the lock is another's, or may be. */
  readonly signal: AbortSignal;
  /** Renews it. @throws {GenerationLostError} when it is another's. @throws what Redis throws. */
  assertOurs(): Promise<void>;
  /**
   * Puts `begun` in the place of the mark, unless calls are in flight.
   * @returns how many are; 0 when it was done. @throws {GenerationLostError} when the lock is another's.
   */
  begin(begun: string): Promise<number>;
  /** Sets the mark and ends the lock. @returns false, with nothing changed, when the lock is another's. */
  finish(begun: string): Promise<boolean>;
  /** Ends the lock, if it is held still. */
  release(): Promise<void>;
}

/**
 * Takes the lock, and with `detail` holds all work until it is released, or its holder has been dead for 12 s.
 * @param mark the one that is to be upgraded
 * @returns undefined when another process has the lock, or the mark is another by now.
 */
export async function takeUpgradeLock(
  { redis, prefix, stateVersion }: { readonly redis: Redis; readonly prefix: string; readonly stateVersion: number },
  { mark, detail }: { readonly mark: string; readonly detail?: string },
): Promise<UpgradeLock | undefined> {
  const token = newMark({ version: stateVersion });
  const kept = { token, ms: LOCK_MS, detail };
  const renewedAt = performance.now();
  if ((await scripts.take(redis, prefix, { ...kept, mark })).verdict !== 'ours') return undefined;
  const lost = 'another process upgrades this Redis';
  const keep = async () => (await scripts.keep(redis, prefix, kept)).ours;
  const renewal = renewLock({ renewedAt, keep, lost });
  return {
    token,
    signal: renewal.signal,
    async assertOurs() {
      if (!(await keep())) renewal.lose();
      renewal.signal.throwIfAborted();
    },
    async begin(begun) {
      const { verdict, calls = 0 } = await scripts.begin(redis, prefix, { token, mark, begun, written_by: VERSION });
      if (verdict === 'lost') throw new GenerationLostError(lost);
      return calls;
    },
    finish: async (begun) => (await scripts.finish(redis, prefix, { token, begun, written_by: VERSION })).done,
    async release() {
      renewal.stop();
      await scripts.keep(redis, prefix, { token });
    },
  };
}
