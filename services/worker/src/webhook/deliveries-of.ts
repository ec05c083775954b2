import { readOrigin } from '@renderyard/shared/origin';
import { deliveryId, type NewDelivery, receiverOf } from '@renderyard/shared/webhook/delivery';
import type { OutboxEvent } from '@renderyard/shared/webhook/event';

/** A delivery of an event for each who is to be told. */
export function deliveriesOf(event: OutboxEvent, body: string): NewDelivery[] {
  return event.to.map((to) => ({
    id: deliveryId(event, to, event.account),
    event: event.id,
    type: event.type,
    account: event.account,
    receiver: receiverOf(event.account, to),
    url: 'url' in to ? to.url : undefined,
    jobId: event.job_id,
    batchId: event.batch_id,
    origin: readOrigin(event.job ?? event.batch ?? event),
    at: event.at,
    body,
  }));
}
