import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Redis } from '../redis/connect.ts';
import { generationKey } from '../redis/generation.ts';
import type { Store } from '../store/store.ts';
import { MIGRATIONS, type Migration, type MigrationContext } from './migrations.ts';
import { newMark, readMark } from './state-version.ts';
import { readStoreVersion, refuseNewerStore, type StoreVersion } from './store-version.ts';
import { takeUpgradeLock, type UpgradeLock } from './upgrade-lock.ts';
import { logSteps, type OnStep } from './upgrade-step.ts';
import { upgradeStore } from './upgrade-store.ts';

/** How often it is looked whether calls have ended, and whether processes of the older version have. */
const POLL_MS = 100;
/** Processes of the older version end by themselves once they see the mark; they are waited for so long. */
const LEAVE_MS = 60_000;

export interface UpgradeDependencies {
  readonly redis: Redis;
  readonly prefix: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stateVersion: number;
  readonly migrations?: readonly Migration[];
  /** How many processes of older versions are there still. */
  readonly olderProcesses?: () => Promise<number>;
  readonly onStep?: OnStep;
}

export type Upgrade = ReturnType<typeof createUpgrade>;

/**
 * Brings data of an older version to this one's, by one process of all that start, while processes of the older version
 * may be at work: it holds all work, waits until no call is in flight, takes the mark away from them, migrates, and sets
 * its own. Killed anywhere it is done by the next process that starts; see
 * docs/decisions/0013-the-state-has-a-version.md.
 */
export function createUpgrade(deps: UpgradeDependencies) {
  const { redis, prefix, store, clock, logger, stateVersion, migrations = MIGRATIONS } = deps;
  const tell = deps.onStep ?? logSteps(logger);

  /** Before each step it is made sure that the lock is ours still: this process may have been frozen. */
  const stepsUnder =
    (lock: UpgradeLock): OnStep =>
    async (step) => {
      await tell(step);
      await lock.assertOurs();
    };

  const contextOf = (generation: string, signal: AbortSignal): MigrationContext => {
    return { store, redis, prefix, generation, logger, signal };
  };

  async function untilCallsEnd(lock: UpgradeLock, begun: string, signal: AbortSignal): Promise<void> {
    let told = false;
    for (;;) {
      signal.throwIfAborted();
      const calls = await lock.begin(begun);
      if (calls === 0) return;
      if (!told) logger.info({ calls }, 'the upgrade waits until the calls in flight have ended');
      told = true;
      await clock.sleep(POLL_MS, signal);
    }
  }

  async function untilOlderOnesLeave(signal: AbortSignal): Promise<void> {
    const began = clock.now();
    for (;;) {
      const older = (await deps.olderProcesses?.()) ?? 0;
      if (older === 0) return;
      if (clock.now() - began >= LEAVE_MS) {
        logger.error({ processes: older }, 'processes of an older version do not end; the upgrade goes on beside them');
        return;
      }
      signal.throwIfAborted();
      await clock.sleep(POLL_MS, signal);
    }
  }

  async function upgradeRedis(mark: string, lock: UpgradeLock, signal: AbortSignal): Promise<boolean> {
    const began = clock.now();
    const onStep = stepsUnder(lock);
    const { version, upgradedFrom } = readMark(mark);
    const from = upgradedFrom ?? version;
    // An upgrade to this version that another process began is gone on with: nobody works with its mark.
    const goesOn = version === stateVersion;
    const begun = goesOn ? mark : newMark({ version: stateVersion, upgradedFrom: from });
    await onStep('calls end');
    if (!goesOn) await untilCallsEnd(lock, begun, signal);
    await onStep('older processes leave');
    await untilOlderOnesLeave(signal);
    const context = contextOf(lock.token, signal);
    await onStep('store');
    await upgradeStore({ stateVersion, migrations, onStep }, context);
    for (const { to, redis: migrate } of migrations) {
      if (to <= from || to > stateVersion || migrate === undefined) continue;
      signal.throwIfAborted();
      await onStep(`redis to ${to}`);
      await migrate(context);
    }
    signal.throwIfAborted();
    await onStep('mark');
    if (!(await lock.finish(begun))) return false;
    logger.warn({ from, to: stateVersion, ms: clock.now() - began }, 'the data of an older version was upgraded');
    return true;
  }

  return {
    /**
     * Upgrades the Redis whose mark is older, and its store with it.
     * @returns false when another process is at it, or has done it: look again.
     * @throws {NewerStateError} when the store is newer, with nothing done. @throws {StoreError} when it is away, with
     * nothing held. @throws {GenerationLostError} when another took over. @throws what a migration throws.
     */
    async run(stopped: AbortSignal): Promise<boolean> {
      const mark = await redis.get(generationKey(prefix));
      if (mark === null) return false;
      const { version, upgradedFrom } = readMark(mark);
      if (version > stateVersion || (version === stateVersion && upgradedFrom === undefined)) return false;
      refuseNewerStore(await readStoreVersion(store, stopped), stateVersion);
      const detail = `Renderyard is being upgraded to data of version ${stateVersion}. Work goes on when the calls in flight have ended and that is done.`;
      const lock = await takeUpgradeLock(deps, { mark, detail });
      if (lock === undefined) return false;
      try {
        return await upgradeRedis(mark, lock, AbortSignal.any([lock.signal, stopped]));
      } finally {
        await lock.release().catch(() => undefined);
      }
    },

    /**
     * Looks whether the store is of this version, and brings it there if Redis alone is.
     * @returns undefined when another process is at it: look again. @throws as `run` does.
     */
    async ofStore(stopped: AbortSignal): Promise<StoreVersion | undefined> {
      const found = await readStoreVersion(store, stopped);
      refuseNewerStore(found, stateVersion);
      if (found?.state_version === stateVersion && found.upgrading_to === undefined) return found;
      const mark = await redis.get(generationKey(prefix));
      const lock = mark === null ? undefined : await takeUpgradeLock(deps, { mark });
      if (lock === undefined) return undefined;
      try {
        const signal = AbortSignal.any([lock.signal, stopped]);
        return await upgradeStore(
          { stateVersion, migrations, onStep: stepsUnder(lock) },
          contextOf(lock.token, signal),
        );
      } finally {
        await lock.release().catch(() => undefined);
      }
    },

    /** Brings the store to this version for a rebuild, which has the lock already. @throws as `run` does. */
    forRebuild: (generation: string, signal: AbortSignal): Promise<StoreVersion> =>
      upgradeStore({ stateVersion, migrations, onStep: tell }, contextOf(generation, signal)),

    /** @throws {NewerStateError} when the store is of a newer version. @throws {StoreError} */
    refuseNewerStore: async (): Promise<void> => refuseNewerStore(await readStoreVersion(store), stateVersion),
  };
}
