import { type DisabledReason, type Endpoint, withOwnDisablings } from '@renderyard/shared/webhook/endpoint';
import type { ReceiverState } from '@renderyard/shared/webhook/receiver-store';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';

/** An endpoint, and how it goes with it. */
export interface FoundEndpoint {
  readonly endpoint: Endpoint;
  readonly receiver: ReceiverState;
}

/** An endpoint as it was decided about last, less its disabling itself since, with how it goes with it. */
export async function withReceiver(
  webhookStore: Pick<WebhookStore, 'receiver'>,
  decided: Endpoint,
): Promise<FoundEndpoint> {
  const receiver = await webhookStore.receiver(decided.id);
  const { state = 'enabled', reason } = receiver;
  const known = { ...receiver, state, reason: reason as DisabledReason | undefined };
  const [endpoint = decided] = withOwnDisablings([decided], new Map([[decided.id, known]]));
  return { endpoint, receiver };
}
