import type { BatchFiles } from './batch/batch-files.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import type { Logger } from './logger.ts';
import { orAborted } from './or-aborted.ts';
import { createRecovery, type Recovery, type RecoveryDependencies } from './recovery/recovery.ts';
import type { Redis } from './redis/connect.ts';
import type { Generation } from './redis/generation.ts';
import { describeProcess } from './roster/own-entry.ts';
import { createRoster, type Roster } from './roster/roster.ts';
import type { RosterEntry } from './roster/roster-entry.ts';
import type { Store } from './store/store.ts';
import { STATE_VERSION } from './upgrade/state-version.ts';

/** One of the processes that work on the same Redis and store. */
export interface Member {
  /** Who the others are, and whether they have what this one has. */
  readonly roster: Roster;
  /** Whether Redis is the one that is known. */
  readonly recovery: Recovery;
  /** Resolves when it cannot go on: what Redis or the store holds is of a newer version. */
  readonly failed: Promise<Error>;
  /**
   * Comes onto the roster, and looks after Redis from now on. Never rejects.
   * @param first what must be in the store before an emptied Redis is rebuilt from it; it is told who else is there, and must
   * not reject.
   */
  join(signal?: AbortSignal, first?: (roster: Roster) => Promise<void>): Promise<void>;
  /**
   * Waits for what is being begun, `patienceMs` at most or until the signal aborts: what takes longer goes on by itself.
   * @returns why this process cannot go on, where that was found out before. @throws what is being begun throws.
   */
  refusedWithin(patienceMs: number, begun: Promise<void>, signal: AbortSignal): Promise<Error | undefined>;
  /** Leaves Redis to the others, and tells them so. */
  leave(): Promise<void>;
}

/**
 * Makes a process one of those that work together. Roster and recovery need each other: the roster tells of the store that
 * the recovery has found, and one whose store is another than that of the others must not rebuild from it.
 */
export function createMember({
  service,
  id,
  config,
  redis,
  prefix,
  generation,
  files,
  store,
  secretKey,
  busy,
  clock,
  logger,
}: {
  readonly service: RosterEntry['service'];
  readonly id: string;
  readonly config: Config;
  readonly redis: Redis;
  readonly prefix: string;
  readonly generation: Generation;
  readonly files: BatchFiles;
  readonly store: Store;
  readonly secretKey: Uint8Array;
  /** Of a worker: as of {@link RecoveryDependencies}. */
  readonly busy?: NonNullable<RecoveryDependencies['worker']>['busy'];
  readonly clock: Clock;
  readonly logger: Logger;
}): Member {
  let fail = (_error: Error) => {};
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const roster = createRoster({
    redis,
    prefix,
    id,
    entry: () => describeProcess({ service, config, secretKey, storeId: recovery.storeId }),
    clock,
    logger,
  });
  const recovery = createRecovery({
    redis,
    prefix,
    generation,
    files,
    store,
    clock,
    logger,
    timeoutMs: config.SEGMIND_TIMEOUT_MS,
    ...(busy === undefined ? {} : { worker: { id, busy } }),
    onNewer: fail,
    hasOurStore: () => !roster.disagreesOn('store'),
    olderProcesses: () => roster.olderThan(STATE_VERSION),
  });
  return {
    roster,
    recovery,
    failed,
    async join(signal, first) {
      const joined = roster.start();
      // What waits for a store, or for the calls of others, is no reason to take this process for broken.
      await (signal === undefined ? joined : orAborted(joined, signal)).catch(() => undefined);
      await first?.(roster);
      recovery.watch();
    },
    async refusedWithin(patienceMs, begun, signal) {
      return (await Promise.race([begun, clock.sleep(patienceMs, signal), failed])) ?? undefined;
    },
    async leave() {
      await Promise.all([recovery.stop(), roster.stop()]);
    },
  };
}
