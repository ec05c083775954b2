import type { Clock } from '@renderyard/shared/clock';
import type { BatchView } from './batch-view.ts';
import type { DemoClient } from './demo-client.ts';
import type { LiveTerminal } from './live-terminal.ts';
import { progressBar, progressFacts, progressHold } from './progress-text.ts';

/** How often a bar is drawn, and how often a line is written where there is none. */
const BAR_MS = 500;
const LINE_MS = 5_000;
const FINAL = new Set(['completed', 'canceled']);
/** Holds that only a person ends; a batch that waits for credits goes on by itself. */
const STUCK = new Set(['batch_failing', 'batch_budget']);

/** Whether nothing more happens until somebody does something. */
export function isStuck({ status, hold }: BatchView): boolean {
  return status === 'paused' && hold !== null && STUCK.has(hold.reason);
}

/**
 * Shows how a batch gets on until it has ended.
 * @param whileStuck whether to go on watching a batch that paused itself.
 * @returns the batch as it was seen last.
 */
export async function watchBatch(options: {
  readonly client: DemoClient;
  readonly id: string;
  readonly terminal: LiveTerminal;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly whileStuck: boolean;
}): Promise<BatchView> {
  const { client, id, terminal, clock, signal, whileStuck } = options;
  let saidAt = Number.NEGATIVE_INFINITY;
  let said = '';
  let holdSaid: string | undefined;
  const tell = (batch: BatchView, last: boolean) => {
    const now = clock.now();
    const hold = progressHold(batch);
    if (terminal.live) {
      terminal.show(progressBar(batch, { now, width: terminal.width }));
      return;
    }
    if (hold !== holdSaid && hold !== undefined) terminal.say(`The batch ${hold}`);
    holdSaid = hold;
    if (!last && now - saidAt < LINE_MS) return;
    const facts = progressFacts(batch, now);
    if (facts === said) return;
    said = facts;
    saidAt = now;
    terminal.say(facts);
  };
  try {
    for (;;) {
      const batch = await client.batch(id);
      const done = FINAL.has(batch.status) || (isStuck(batch) && !whileStuck);
      tell(batch, done);
      if (done) {
        // The last bar stays.
        if (terminal.live) terminal.say(progressBar(batch, { now: clock.now(), width: terminal.width }));
        return batch;
      }
      await clock.sleep(BAR_MS, signal);
      signal.throwIfAborted();
    }
  } finally {
    terminal.clear();
  }
}
