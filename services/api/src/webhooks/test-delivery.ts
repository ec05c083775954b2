import type { EventComposer } from '@renderyard/shared/webhook/compose-event';
import { type Delivery, deliveryId } from '@renderyard/shared/webhook/delivery';
import type { Endpoint } from '@renderyard/shared/webhook/endpoint';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { ProblemError } from '../errors/problem-error.ts';

/**
 * Has a `webhook.test` event sent to an endpoint, whatever types it hears. Asked twice with the same event, it is sent
 * twice under one event id at most.
 * @param event `evt_…`, drawn before. @param at milliseconds since 1970.
 * @throws {ProblemError} `webhook_disabled`, `webhook_queue_full`, `not_found` where it was deleted meanwhile.
 */
export async function sendTest(
  { webhookStore, composer }: { readonly webhookStore: WebhookStore; readonly composer: EventComposer },
  {
    account,
    endpoint,
    event: id,
    at,
  }: { readonly account: string; readonly endpoint: Endpoint; readonly event: string; readonly at: number },
): Promise<Delivery> {
  if (endpoint.state === 'disabled') throw new ProblemError('webhook_disabled');
  const to = { webhook: endpoint.id };
  const event = {
    ...{ id, type: 'webhook.test' as const, account, at, to: [to] },
    endpoint: { id: endpoint.id, url: endpoint.url, reason: '' },
  };
  const delivery = {
    ...{ id: deliveryId(event, to, account), event: id, type: event.type, account, receiver: endpoint.id, at },
    ...{ url: undefined, jobId: undefined, batchId: undefined, body: await composer.compose(event) },
  };
  const { full } = await webhookStore.make([delivery]);
  if (full > 0) {
    const { state } = await webhookStore.receiver(endpoint.id);
    throw new ProblemError(state === 'disabled' ? 'webhook_disabled' : 'webhook_queue_full');
  }
  const made = await webhookStore.get(delivery.id);
  if (made === undefined) throw new ProblemError('not_found', 'There is no such webhook.');
  return made;
}
