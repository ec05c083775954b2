import type { Clock } from '../clock.ts';
import { assertLink } from './object-headers.ts';
import { assertKey } from './object-key.ts';
import { signLink } from './signed-link.ts';
import type { Store } from './store.ts';

export interface ApiLinkOptions {
  /** Base of the links, where the API serves `/store/…`; without a "/" at its end. */
  readonly publicUrl: string;
  /** Signs the links: 16 bytes or more that nobody else knows, the same in every process. */
  readonly signingKey: Uint8Array;
  readonly clock: Clock;
}

/** Links that lead to the API, which reads the object for whoever has one: for stores that clients cannot reach. */
export function createApiLink({ publicUrl, signingKey, clock }: ApiLinkOptions): Store['link'] {
  return async (key, { expiresInSeconds, ...say }) => {
    assertKey(key);
    assertLink({ expiresInSeconds, ...say });
    const expires = Math.floor(clock.now() / 1000) + expiresInSeconds;
    const path = key.split('/').map(encodeURIComponent).join('/');
    return `${publicUrl}/store/${path}?${signLink({ key, expires, ...say }, signingKey)}`;
  };
}
