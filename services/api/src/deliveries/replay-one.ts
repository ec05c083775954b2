import { isId } from '@renderyard/shared/ids';
import type { Delivery } from '@renderyard/shared/webhook/delivery';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { ProblemError } from '../errors/problem-error.ts';
import { isSending } from './delivery-view.ts';

/** @throws {ProblemError} `not_found`, also for a delivery of another account: whether it exists is not told. */
export async function findDelivery(store: Pick<WebhookStore, 'get'>, id: string, account: string): Promise<Delivery> {
  const delivery = isId('dlv', id) ? await store.get(id) : undefined;
  if (delivery === undefined || delivery.account !== account)
    throw new ProblemError(
      'not_found',
      'There is no such delivery. Deliveries are forgotten some days after they are made.',
    );
  return delivery;
}

/**
 * Sends a delivery again, whatever became of it, or at once what waits for its next attempt.
 * @param again an earlier run of this very request broke off: what it did stands.
 * @throws {ProblemError} `not_found`, `delivery_sending`, `webhook_disabled`, `webhook_deleted` or `webhook_queue_full`.
 */
export async function replayOne(
  store: Pick<WebhookStore, 'get' | 'replay' | 'receiver'>,
  { id, account, again }: { readonly id: string; readonly account: string; readonly again: boolean },
): Promise<Delivery> {
  const before = await findDelivery(store, id, account);
  if (again && before.status === 'pending') return before;
  const replayed = await store.replay(account, [id]);
  const delivery = await findDelivery(store, id, account);
  if (replayed.length === 0) throw await whyNot(store, delivery);
  return delivery;
}

async function whyNot(store: Pick<WebhookStore, 'receiver'>, delivery: Delivery): Promise<ProblemError> {
  if (isSending(delivery)) return new ProblemError('delivery_sending');
  const { receiver } = delivery;
  if (receiver.startsWith('whk_')) {
    const { state, reason } = await store.receiver(receiver);
    if (state === undefined)
      return new ProblemError(
        'webhook_deleted',
        `The webhook ${receiver} was deleted: there is nowhere to send it to.`,
      );
    if (state === 'disabled')
      return new ProblemError(
        'webhook_disabled',
        `The webhook ${receiver} is disabled (${reason ?? 'by_hand'}), and nothing is sent to it. Enable it first: PATCH with {"state":"enabled"}.`,
      );
  }
  return new ProblemError('webhook_queue_full');
}
