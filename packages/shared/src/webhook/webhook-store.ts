import { createCatchUpStore } from './catch-up-store.ts';
import { createDeliveryStore } from './delivery-store.ts';
import { readOwed } from './owed.ts';
import { createReceiverStore } from './receiver-store.ts';
import type { ScriptContext } from './script-context.ts';

export type WebhookStore = ReturnType<typeof createWebhookStore>;

/** Deliveries and their receivers in Redis. Every method that changes something throws `GenerationLostError`. */
export function createWebhookStore(context: ScriptContext) {
  return {
    ...createDeliveryStore(context),
    ...createReceiverStore(context),
    ...createCatchUpStore(context),
    /** Who is owed something now; see {@link readOwed}. */
    owed: () => readOwed(context),
  };
}
