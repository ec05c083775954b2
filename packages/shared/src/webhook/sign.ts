import { Webhook } from 'standardwebhooks';

/** Headers by which a receiver knows an event and who sent it (Standard Webhooks 1.0, “Webhook headers”). */
export interface WebhookHeaders {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

/**
 * Signs one attempt: HMAC-SHA256 over `id.timestamp.body`, once with each secret; receivers take any of them.
 * @param id of the event, the same for each attempt. It holds no full stop.
 * @param atMs when the attempt is made, in milliseconds since 1970; what is sent are whole seconds, rounded down.
 * @param body exactly as it is sent.
 * @param secrets `whsec_…`, the newest first; at least one.
 * @throws {Error} without a secret, or with one that is no base64.
 */
export function signWebhook({
  id,
  atMs,
  body,
  secrets,
}: {
  readonly id: string;
  readonly atMs: number;
  readonly body: string;
  readonly secrets: readonly string[];
}): WebhookHeaders {
  if (secrets.length === 0) throw new Error(`There is no secret to sign ${id} with. A webhook has one at least.`);
  const at = new Date(atMs);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(atMs / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
}
