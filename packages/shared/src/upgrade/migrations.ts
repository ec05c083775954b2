import type { Logger } from '../logger.ts';
import type { Redis } from '../redis/connect.ts';
import type { Store } from '../store/store.ts';

/** What a migration works with. */
export interface MigrationContext {
  readonly store: Store;
  readonly redis: Redis;
  readonly prefix: string;
  /** To be given to every script that changes Redis: it refuses once another process has taken the upgrade over. */
  readonly generation: string;
  readonly logger: Logger;
  /** Aborts when the upgrade was taken over, or this process stops. */
  readonly signal: AbortSignal;
}

/**
 * Brings data from the version before to `to`. Each part may be broken off anywhere and is then done again from its
 * beginning, so each must be harmless to repeat, also on what is partly or wholly of the new version.
 */
export interface Migration {
  readonly to: number;
  /** Of the objects in the store. Also run where Redis is new, and on a store that holds nothing. */
  readonly store?: (context: MigrationContext) => Promise<void>;
  /** Of the keys in Redis. No call is in flight; calls of workers that died may stand there still. */
  readonly redis?: (context: MigrationContext) => Promise<void>;
}

/** All of them, in order. Version 1 is what came before it with its version written down. */
export const MIGRATIONS: readonly Migration[] = [{ to: 1 }];
