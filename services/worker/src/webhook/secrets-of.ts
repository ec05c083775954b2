import type { Logger } from '@renderyard/shared/logger';
import type { Delivery } from '@renderyard/shared/webhook/delivery';
import type { EndpointSecret } from '@renderyard/shared/webhook/endpoint';
import { defaultSecret, UnsealError, unsealSecret } from '@renderyard/shared/webhook/sealed-secret';

/**
 * The secrets that sign a delivery, the newest first; undefined when none can be read.
 * @param secrets of an endpoint, sealed, as JSON
 * @param now milliseconds since 1970
 */
export type SecretsOf = (of: {
  readonly delivery: Pick<Delivery, 'receiver' | 'account'>;
  readonly secrets: string | undefined;
  readonly now: number;
}) => readonly string[] | undefined;

/** Secrets that are kept opened; with one more, all are opened anew. */
const MOST_OPENED = 1000;

export function createSecretsOf({
  setting,
  secretKey,
  logger,
}: {
  /** `WEBHOOK_SECRET`. */
  readonly setting: string | undefined;
  readonly secretKey: Uint8Array;
  readonly logger: Logger;
}): SecretsOf {
  // Opening one takes a tenth of the processor time of a delivery, deriving the key most of it.
  const opened = new Map<string, string>();

  function once(key: string, open: () => string): string {
    const known = opened.get(key);
    if (known !== undefined) return known;
    const secret = open();
    if (opened.size >= MOST_OPENED) opened.clear();
    opened.set(key, secret);
    return secret;
  }

  return ({ delivery: { receiver, account }, secrets, now }) => {
    if (secrets === undefined) return [once(`of ${account}`, () => defaultSecret({ setting, secretKey, account }))];
    const inForce = (JSON.parse(secrets) as readonly EndpointSecret[]).filter(
      ({ expires_at: expiresAt }) => expiresAt === null || expiresAt > now,
    );
    const found = inForce.flatMap(({ sealed }) => {
      try {
        return [once(`${receiver} ${sealed}`, () => unsealSecret(sealed, { secretKey, endpointId: receiver }))];
      } catch (error) {
        if (!(error instanceof UnsealError)) throw error;
        logger.error({ err: error, webhook: receiver }, 'a webhook cannot be signed');
        return [];
      }
    });
    return found.length === 0 ? undefined : found;
  };
}
