import type { Delivery, DeliveryStatus } from '@renderyard/shared/webhook/delivery';
import type { DeliveredType } from '@renderyard/shared/webhook/event-type';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import type { ReceiverLookup } from './receiver-lookup.ts';

/** What a list of deliveries is narrowed to. */
export interface DeliveryFilter {
  readonly status?: DeliveryStatus;
  readonly webhook_id?: string;
  readonly type?: DeliveredType;
  readonly job_id?: string;
  readonly batch_id?: string;
}

export interface DeliveryPage {
  readonly deliveries: readonly Delivery[];
  /** The id to go on after; null where there are no more. */
  readonly next: string | null;
}

/** Deliveries looked at for one page: few of them may be what is asked for. Named in docs/api.md. */
const MOST_LOOKED_AT = 2_000;
const AT_ONCE = 100;

/**
 * An account's deliveries, the newest first. Only by status and by webhook there are lists, and only for one of them at
 * a time; with other filters a page may have fewer than `limit` and more may follow, so that the work for one is bounded.
 */
export async function listDeliveries(
  {
    store,
    receivers,
  }: { readonly store: Pick<WebhookStore, 'list'>; readonly receivers: Pick<ReceiverLookup, 'belongsTo'> },
  account: string,
  { after, limit, ...filter }: DeliveryFilter & { readonly after?: string; readonly limit: number },
): Promise<DeliveryPage> {
  const { status, webhook_id: receiver, type, job_id: job, batch_id: batch } = filter;
  // The store would go through the whole list of another account's webhook.
  if (receiver !== undefined && !(await receivers.belongsTo(receiver, account))) return { deliveries: [], next: null };
  // And it would look for a webhook's deliveries of a status without bound.
  const list = receiver === undefined ? { status } : { receiver };
  const isListed = [type, job, batch, receiver && status].every((each) => each === undefined);
  const atOnce = isListed ? limit : AT_ONCE;
  const fits = (delivery: Delivery) =>
    (status ?? delivery.status) === delivery.status &&
    (type ?? delivery.type) === delivery.type &&
    (job === undefined || job === delivery.jobId) &&
    (batch === undefined || batch === delivery.batchId);

  const deliveries: Delivery[] = [];
  let last = after;
  for (let looked = 0; looked < MOST_LOOKED_AT; looked += atOnce) {
    const found = await store.list(account, { ...list, after: last, limit: atOnce + 1 });
    for (const [index, delivery] of found.slice(0, atOnce).entries()) {
      last = delivery.id;
      if (fits(delivery)) deliveries.push(delivery);
      if (deliveries.length === limit) return { deliveries, next: index + 1 < found.length ? last : null };
    }
    if (found.length <= atOnce) return { deliveries, next: null };
  }
  return { deliveries, next: last ?? null };
}
