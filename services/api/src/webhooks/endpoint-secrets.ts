import type { Endpoint } from '@renderyard/shared/webhook/endpoint';
import { newWebhookSecret, sealSecret, unsealSecret } from '@renderyard/shared/webhook/sealed-secret';

/** Seals the secrets of endpoints, and opens them for their owners. */
export interface EndpointSecrets {
  /** @param given the secret that the user brought along; a new one is made where there is none. */
  seal(id: string, given: string | undefined): string;
  /** The newest secret. @throws {UnsealError}. */
  open(endpoint: Endpoint): string;
}

export function createEndpointSecrets(secretKey: Uint8Array): EndpointSecrets {
  return {
    seal: (id, given) => sealSecret(given ?? newWebhookSecret(), { secretKey, endpointId: id }),
    open: ({ id, secrets }) => unsealSecret(secrets[0]?.sealed ?? '', { secretKey, endpointId: id }),
  };
}
