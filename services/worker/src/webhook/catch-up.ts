import type { Clock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { deliveriesOf } from './deliveries-of.ts';
import { missedEvents } from './missed-events.ts';
import type { MissedDependencies } from './missed-page.ts';

/** Whoever reads missed events for a receiver says so again with each page. */
const LEASE_MS = 60_000;
/** After an error, in milliseconds: the store may be away. */
const AGAIN_MS = 5000;
/** Events composed at once. */
const AT_ONCE = 20;

export interface CatchUpDependencies extends MissedDependencies {
  readonly webhooks: Pick<WebhookStore, 'make' | 'takeCatchUp' | 'keepCatchUp'>;
  readonly compose: (event: OutboxEvent) => Promise<string>;
  /** Told after deliveries were made. */
  readonly onMade: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Makes the deliveries that a receiver has missed: it was disabled, too much waited for it, or Redis was emptied. It goes
 * on where it was as soon as half of what may wait for the receiver has been sent. What was delivered before, and is in
 * the log still, is not made again.
 * @returns whether there was something to do
 * @throws {StoreError} when the store cannot be read: the next round goes on from the last page.
 */
export async function catchUp(deps: CatchUpDependencies, signal: AbortSignal): Promise<boolean> {
  const { webhooks, logger } = deps;
  const task = await webhooks.takeCatchUp(LEASE_MS);
  if (task === undefined) return false;
  const { receiver, account } = task;
  if (task.cursor === undefined)
    logger.info(
      { receiver, account, since: new Date(task.from).toISOString() },
      'a webhook catches up on what it missed',
    );
  let made = 0;
  let reached = task.cursor ?? '';
  try {
    for await (const { events, cursor } of missedEvents(deps, task)) {
      for (let from = 0; from < events.length; from += AT_ONCE) {
        // A page may hold thousands of rows. What is made of it already is found the next time.
        if ((await webhooks.keepCatchUp(task, reached, signal.aborted ? undefined : LEASE_MS)) === 'lost') return true;
        if (signal.aborted) return true;
        const some = events.slice(from, from + AT_ONCE).map(async (event) => {
          const body = await deps.compose(event);
          made += (await webhooks.make(deliveriesOf(event, body))).made;
        });
        await Promise.all(some);
      }
      if (events.length > 0) deps.onMade();
      reached = cursor;
      const found = await webhooks.keepCatchUp(task, cursor, LEASE_MS);
      if (found === 'lost') return true;
      if (found === 'room' && !signal.aborted) continue;
      await webhooks.keepCatchUp(task, cursor, undefined);
      return true;
    }
  } catch (error) {
    await webhooks.keepCatchUp(task, reached, AGAIN_MS).catch(() => undefined);
    throw error;
  }
  await webhooks.keepCatchUp(task, undefined, undefined);
  logger.info({ receiver, account, deliveries: made }, 'a webhook has caught up');
  return true;
}
