import { idOf } from '@renderyard/shared/ids';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import type { ReceiverLookup } from './receiver-lookup.ts';
import type { ReplayRange } from './replay-range.ts';

/** Deliveries of one script; `WebhookStore.replay` takes no more. */
const AT_ONCE = 500;
/** Looked at in all: twice what an account's log keeps of failed ones, as some may fail meanwhile. */
const MOST_LOOKED_AT = 20_000;

/** Sorts before every id of a delivery of an event of this time (milliseconds since 1970) or later. */
const lowestId = (at: number) => idOf('dlv', Math.max(at, 0), new Uint8Array(10));

export interface ReplayCount {
  readonly replayed: number;
  /** Failed ones whose webhook is disabled or deleted, or has as many waiting as it may, or that changed just now. */
  readonly skipped: number;
}

/**
 * Sends an account's failed deliveries again, those of the oldest events first.
 */
export async function replayFailed(
  {
    store,
    receivers,
  }: { readonly store: Pick<WebhookStore, 'failedSince' | 'replay'>; readonly receivers: ReceiverLookup },
  account: string,
  { since, until, webhookId }: ReplayRange,
): Promise<ReplayCount> {
  const end = until === undefined ? undefined : lowestId(until);
  let [replayed, skipped, looked] = [0, 0, 0];
  for (let from = `[${lowestId(since)}`; looked < MOST_LOOKED_AT; ) {
    const ids = await store.failedSince(account, { from, limit: AT_ONCE });
    const within = end === undefined ? ids : ids.filter((id) => id < end);
    const wanted = webhookId === undefined ? within : await receivers.goingTo(webhookId, within);
    const sent = (await store.replay(account, wanted)).length;
    replayed += sent;
    skipped += wanted.length - sent;
    looked += ids.length;
    if (within.length < AT_ONCE) break;
    from = `(${ids.at(-1)}`;
  }
  return { replayed, skipped };
}
