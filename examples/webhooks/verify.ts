// Verifies a webhook of Renderyard with nothing but node:crypto. The npm package `standardwebhooks` does the same:
//
//   new Webhook(secret).verify(body, headers);

import { createHmac, timingSafeEqual } from 'node:crypto';

/** Seconds by which a timestamp may differ from our clock, either way. What is older may be somebody's recording. */
const TOLERANCE_S = 300;

export interface SignedWebhook {
  /** The headers webhook-id, webhook-timestamp and webhook-signature, as they came. */
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  /** As it came, byte for byte: not parsed and written again. */
  readonly body: Uint8Array;
}

/**
 * @param nowS seconds since 1970.
 * @throws {Error} unless the webhook was signed with the secret, within five minutes.
 */
export function verifyWebhook(
  { id, timestamp, signature, body }: SignedWebhook,
  secret: string,
  nowS: number = Date.now() / 1000,
): void {
  const key = readSecret(secret);
  if (!/^\d{1,12}$/.test(timestamp)) throw new Error('webhook-timestamp is no number of seconds.');
  if (Math.abs(nowS - Number(timestamp)) > TOLERANCE_S)
    throw new Error('webhook-timestamp is more than five minutes away from our clock.');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
  // Several signatures stand there while a secret is replaced by another: one of them is ours.
  const isOurs = signature.split(' ').some((each) => {
    const [version, encoded = ''] = each.split(',');
    const given = Buffer.from(encoded, 'base64');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!isOurs) throw new Error('No signature is right: the body, a header or the secret is another.');
}

/** The key that a secret holds. An empty key would let anybody sign. */
export function readSecret(secret: string): Uint8Array {
  const key = Buffer.from(/^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1] ?? '', 'base64');
  if (key.length < 24) throw new Error('WEBHOOK_SECRET must be the secret of the webhook: whsec_ and base64.');
  return key;
}
