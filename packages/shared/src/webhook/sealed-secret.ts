import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** What a secret is sealed with and for: the installation's SECRET_KEY, and the endpoint that it belongs to. */
export interface SealOptions {
  readonly secretKey: Uint8Array;
  readonly endpointId: string;
}

/** Thrown when a sealed secret cannot be opened. Its message holds nothing of the secret. */
export class UnsealError extends Error {
  override readonly name = 'UnsealError';
}

/** Bytes of a nonce and of a tag, as NIST SP 800-38D recommends for AES-GCM. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED = /^v1\.([\w-]{16})\.([\w-]+)\.([\w-]{22})$/;

/** A new secret for an endpoint, 32 random bytes in the form of Standard Webhooks. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

/**
 * The secret that signs what goes to the own `webhook` URLs of an account's jobs and batches: `WEBHOOK_SECRET`, else
 * one that follows from SECRET_KEY, so there is nothing to keep and each account has another.
 */
export function defaultSecret({
  setting,
  secretKey,
  account,
}: {
  readonly setting: string | undefined;
  readonly secretKey: Uint8Array;
  readonly account: string;
}): string {
  return setting ?? `whsec_${derive(secretKey, `renderyard webhooks of ${account}`).toString('base64')}`;
}

/** The secret as it may be kept: `v1.<nonce>.<ciphertext>.<tag>` in base64url, AES-256-GCM, bound to its endpoint. */
export function sealSecret(secret: string, options: SealOptions): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', sealingKey(options.secretKey), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(options.endpointId));
  const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
  return ['v1', ...[nonce, sealed, cipher.getAuthTag()].map((part) => part.toString('base64url'))].join('.');
}

/** @throws {UnsealError} when the text is no sealed secret, was changed, or is of another key or another endpoint. */
export function unsealSecret(sealed: string, options: SealOptions): string {
  const [, nonce, text, tag] = SEALED.exec(sealed) ?? [];
  if (nonce === undefined || text === undefined || tag === undefined)
    throw new UnsealError(`The secret of ${options.endpointId} is not of the form v1.<nonce>.<ciphertext>.<tag>.`);
  const bytes = (part: string) => Buffer.from(part, 'base64url');
  // Base64url leaves bits over at its end: with others there, the same bytes would have a second spelling.
  if ([nonce, text, tag].some((part) => bytes(part).toString('base64url') !== part)) throw failed(options.endpointId);
  const decipher = createDecipheriv('aes-256-gcm', sealingKey(options.secretKey), bytes(nonce), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(options.endpointId));
  decipher.setAuthTag(bytes(tag));
  try {
    return Buffer.concat([decipher.update(bytes(text)), decipher.final()]).toString('utf8');
  } catch (error) {
    throw failed(options.endpointId, error);
  }
}

function failed(endpointId: string, cause?: unknown): UnsealError {
  return new UnsealError(
    `The secret of ${endpointId} cannot be opened: it was sealed with another SECRET_KEY or for another endpoint, or was changed. Bring back the SECRET_KEY of then, or rotate the secret.`,
    { cause },
  );
}

/** A key for this purpose alone, so that SECRET_KEY may serve others. */
const sealingKey = (secretKey: Uint8Array) => derive(secretKey, 'renderyard sealed webhook secret 1');

function derive(secretKey: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secretKey, new Uint8Array(), purpose, 32));
}
