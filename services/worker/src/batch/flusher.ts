import { type BatchFiles, JSON_TYPE } from '@renderyard/shared/batch/batch-files';
import { openKey } from '@renderyard/shared/batch/batch-layout';
import type { BatchStates, Flush } from '@renderyard/shared/batch/batch-states';
import type { Logger } from '@renderyard/shared/logger';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { Store } from '@renderyard/shared/store/store';
import { endBatch } from './end-batch.ts';
import { createFlushLease, LostLeaseError } from './flush-lease.ts';
import { createPauseKeeper } from './keep-pause.ts';
import { writePart } from './write-part.ts';

/** How long a batch is ours to write, unless it is renewed; and how soon it is tried again when that failed. */
const LEASE_MS = 30_000;
/** Batches written by one tick: others may be due as well. */
const MOST_BATCHES = 20;

export interface FlusherDependencies {
  readonly states: BatchStates;
  readonly files: BatchFiles;
  readonly store: Store;
  readonly logger: Logger;
  /** For what does not fit into memory while it is gathered. */
  readonly dataFolder: string;
  /** Milliseconds; 30,000 if left out. */
  readonly leaseMs?: number;
  /** See `EndBatchDependencies`. */
  readonly noteOwed?: () => Promise<void>;
}

/** Brings results from Redis into the store, and ends batches all of whose rows have ended. */
export interface Flusher {
  /**
   * Writes what is due. One that is asked for while another runs is that one. A batch that cannot be written is tried
   * again when its lease has run out; this is told once, not each time.
   * @throws {GenerationLostError} when Redis was emptied. @throws what Redis throws.
   */
  tick(): Promise<void>;
  /** Batches that are being written. */
  readonly active: number;
}

export function createFlusher(deps: FlusherDependencies): Flusher {
  const { states, store, logger, leaseMs = LEASE_MS } = deps;
  const keepPause = createPauseKeeper(deps);
  /** Batches that could not be written when they were tried last. */
  const failing = new Set<string>();
  let running: Promise<void> | undefined;
  let active = 0;

  async function write(flush: Flush): Promise<void> {
    const lease = createFlushLease(states, flush, leaseMs);
    for (const { part } of flush.parts) {
      await lease.keep();
      await writePart(deps, flush, part);
    }
    await keepPause(flush.batch);
    await keepMarker(flush);
    if (!flush.ending || !(await endBatch(deps, lease))) await states.endFlush(flush);
  }

  /** A batch without a marker would be forgotten with Redis. However it was lost, a batch that goes on has one. */
  async function keepMarker({ batch, ending }: Flush): Promise<void> {
    if (ending || (await store.head(openKey(batch))) !== undefined) return;
    await store.put(openKey(batch), Buffer.alloc(0), { contentType: JSON_TYPE });
  }

  async function tick(): Promise<void> {
    for (let batches = 0; batches < MOST_BATCHES; batches++) {
      const flush = await states.takeFlush(leaseMs);
      if (flush === undefined) return;
      active++;
      try {
        await write(flush);
        if (failing.delete(flush.batch)) logger.info({ batch: flush.batch }, 'results of a batch can be stored again');
      } catch (error) {
        if (error instanceof GenerationLostError) throw error;
        if (error instanceof LostLeaseError) logger.info({ batch: flush.batch }, error.message);
        else if (!failing.has(flush.batch)) {
          failing.add(flush.batch);
          logger.error({ err: error, batch: flush.batch }, 'results of a batch cannot be stored and are tried again');
        }
      } finally {
        active--;
      }
    }
  }

  return {
    tick() {
      running ??= tick().finally(() => {
        running = undefined;
      });
      return running;
    },
    get active() {
      return active;
    },
  };
}
