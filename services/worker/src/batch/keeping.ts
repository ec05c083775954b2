import type { Ledger } from '@renderyard/shared/credits/ledger';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import type { Flusher } from './flusher.ts';
import type { MendDependencies } from './mend-open.ts';
import { sweepUploads } from './sweep-uploads.ts';

const TICK_MS = 1000;
/** How often uploads that died are looked for, over all workers. */
const SWEEP_MS = 180_000;

export interface KeepingDependencies extends MendDependencies {
  readonly flusher: Flusher;
  readonly ledger: Ledger;
  readonly worker: string;
  /** Told when a round failed; the next is a second away. */
  readonly onError: (error: unknown) => Promise<void>;
}

/** What keeps batches in the store, about once a second, beside the upkeep: ending a large batch takes its time. */
export function createKeeping(deps: KeepingDependencies) {
  const { flusher, ledger, worker, clock, logger } = deps;
  const stopped = new AbortController();
  let running: Promise<unknown> | undefined;

  async function sweep(): Promise<void> {
    if (!(await ledger.takeTurn('uploads', worker, SWEEP_MS))) return;
    await sweepUploads(deps).catch((error: unknown) => {
      if (error instanceof GenerationLostError) throw error;
      logger.warn({ err: error }, 'uploads that were cut off cannot be looked for now');
    });
  }

  async function loop(step: () => Promise<void>): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await step();
      } catch (error) {
        await deps.onError(error);
      }
      await clock.sleep(TICK_MS * (0.75 + Math.random() / 2), stopped.signal);
    }
  }

  return {
    start() {
      running = Promise.all([loop(() => flusher.tick()), loop(sweep)]);
    },
    async stop() {
      stopped.abort();
      await running;
    },
  };
}
