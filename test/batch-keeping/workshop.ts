import { join } from 'node:path';
import { manifestKey } from '@renderyard/shared/batch/batch-layout';
import type { BatchManifest } from '@renderyard/shared/batch/manifest';
import { parseRowJobId } from '@renderyard/shared/batch/row';
import type { JobError } from '@renderyard/shared/job/job';
import { createJobStore } from '@renderyard/shared/job/job-store';
import type { Store } from '@renderyard/shared/store/store';
import { createFlusher, type FlusherDependencies } from '@renderyard/worker/batch/flusher';
import { openYard } from '../recovery/yard.ts';
import { resultOf, storeBatch, storeRowImage } from '../support/stored-batch.ts';

export type Stored = Awaited<ReturnType<typeof storeBatch>>;

const REFUSED: JobError = { code: 'upstream_rejected', detail: 'The upstream refuses it.' };

/** A store in a folder and a Redis that is ready, with rows that end as a worker ends them. Use it with `await using`. */
export async function openWorkshop() {
  const yard = await openYard();
  const { generation, recovery, states } = yard.openProcess();
  await recovery.ensure();
  const { redis, prefix, store, files, logger } = yard;
  const jobs = createJobStore({ redis, prefix, generation });
  const dataFolder = join(yard.folder, 'worker');

  /** Ends all rows that are due, in the order in which they are fed. */
  const endRows = async (
    stored: Stored,
    { most = 1000, fails = () => false }: { most?: number; fails?: (row: number) => boolean } = {},
  ): Promise<number> => {
    const tickets = await jobs.takeTickets(most);
    for (const { job } of tickets) {
      const number = parseRowJobId(job)?.row ?? 0;
      const row = stored.rows[number - 1];
      if (row === undefined) throw new Error(`a ticket of a row that is not there: ${job}`);
      const part = stored.record.parts.findIndex(
        (_, i) => number <= stored.record.parts.slice(0, i + 1).reduce((sum, { rows }) => sum + rows, 0),
      );
      if (fails(number)) await jobs.record({ job, row: { part }, status: 'failed', error: REFUSED }, 1000);
      else {
        await storeRowImage(store, stored.record.id, row);
        const { output = [] } = resultOf(stored.record.id, row);
        await jobs.record({ job, row: { part }, status: 'succeeded', output }, 1000);
      }
    }
    return tickets.length;
  };

  return {
    ...yard,
    generation,
    states,
    jobs,
    dataFolder,
    endRows,
    /** Stores a batch and makes it known. */
    async batch(options: Parameters<typeof storeBatch>[1] = {}): Promise<Stored> {
      const stored = await storeBatch(store, options);
      await states.open(stored.record, stored.decision);
      return stored;
    },
    flusher: (over: Partial<FlusherDependencies> = {}) =>
      createFlusher({ states, files, store, logger, dataFolder, ...over }),
    /** As if the time had come to write the results of a batch. */
    due: (batch: string) => redis.zadd(`${prefix}dirty`, 0, batch),
    /** As if the lease on a batch had run out. */
    loseLease: (batch: string) => redis.del(`${prefix}flushing:${batch}`),
    async text(key: string): Promise<string | undefined> {
      const object = await store.get(key);
      return object && Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
    },
    manifest: (batch: string) => files.readJson<BatchManifest>(manifestKey(batch)),
    async keys(beginning: string): Promise<string[]> {
      const found: string[] = [];
      for await (const { key } of store.list(beginning)) found.push(key);
      return found;
    },
  };
}

/** The store, with something done before each change of it. */
export function withEach(store: Store, before: (what: string) => Promise<void> | void): Store {
  return {
    ...store,
    put: async (key, body, options) => {
      await before(`put ${key}`);
      return store.put(key, body, options);
    },
    delete: async (keys, options) => {
      await before(`delete ${keys.join(' ')}`);
      return store.delete(keys, options);
    },
  };
}
