import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createBatchFiles } from '@renderyard/shared/batch/batch-files';
import { createBatchStates } from '@renderyard/shared/batch/batch-states';
import { systemClock } from '@renderyard/shared/clock';
import { createLogger } from '@renderyard/shared/logger';
import { createRecovery } from '@renderyard/shared/recovery/recovery';
import { createGeneration } from '@renderyard/shared/redis/generation';
import { keyPrefix, queuePrefix } from '@renderyard/shared/redis/keys';
import { createDirectoryStore } from '@renderyard/shared/store/directory-store';
import type { Migration } from '@renderyard/shared/upgrade/migrations';
import type { OnStep } from '@renderyard/shared/upgrade/upgrade-step';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { allKeys } from '../redis/keys.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

/** A store in a folder, and keys of its own in the run's Redis, which has no mark yet. Use it with `await using`. */
export async function openYard() {
  const folder = await makeTemporaryFolder('yard');
  const name = `yard-${randomBytes(6).toString('hex')}`;
  const prefix = keyPrefix(name);
  const redis = new Redis(inject('redisUrl'));
  const store = createDirectoryStore({
    directory: join(folder, 'store'),
    publicUrl: 'http://127.0.0.1',
    signingKey: randomBytes(32),
  });
  const logs: Record<string, unknown>[] = [];
  const logger = createLogger({
    service: 'test',
    level: 'debug',
    destination: { write: (line: string) => void logs.push(JSON.parse(line)) },
  });
  const recoveries: ReturnType<typeof createRecovery>[] = [];

  /** A process: what it knows of Redis is its own. `upgrade` makes it one of another version. */
  const openProcess = (
    worker?: { readonly id: string; readonly busy: () => number },
    through = store,
    {
      olderProcesses,
      ...upgrade
    }: {
      readonly stateVersion?: number;
      readonly migrations?: readonly Migration[];
      readonly onStep?: OnStep;
      readonly olderProcesses?: () => Promise<number>;
    } = {},
  ) => {
    const generation = createGeneration(redis, prefix, upgrade.stateVersion);
    const refused: Error[] = [];
    const files = createBatchFiles({ store: through });
    const recovery = createRecovery({
      redis,
      prefix,
      generation,
      files,
      store: through,
      clock: systemClock,
      logger,
      timeoutMs: 5000,
      noticeMs: 300,
      ...(worker === undefined ? {} : { worker }),
      ...(olderProcesses === undefined ? {} : { olderProcesses }),
      upgrade,
      onNewer: (error) => void refused.push(error),
    });
    recoveries.push(recovery);
    return { generation, recovery, refused, files, states: createBatchStates({ redis, prefix, generation }) };
  };

  const empty = async () => {
    const keys = await allKeys(redis, queuePrefix(name));
    if (keys.length > 0) await redis.del(...keys);
  };

  return {
    folder,
    prefix,
    redis,
    store,
    logs,
    logger,
    files: createBatchFiles({ store }),
    openProcess,
    /** Takes all keys away, as FLUSHALL would. */
    empty,
    until: async (what: string, check: () => boolean | Promise<boolean>) => {
      const end = Date.now() + 15_000;
      while (!(await check())) {
        if (Date.now() > end) throw new Error(`Waited in vain: ${what}.\n${JSON.stringify(logs.slice(-5))}`);
        await systemClock.sleep(10);
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(recoveries.map((recovery) => recovery.stop()));
      await empty();
      await redis.quit();
      await store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
