import { setTimeout as sleep } from 'node:timers/promises';
import { type AddressGuard, NOT_PUBLIC_PROBLEM, type UrlProblem } from './address-guard.ts';
import type { HostLookup } from './host-lookup.ts';

/** Milliseconds that somebody who registers a URL waits for its name. */
const PATIENCE_MS = 2000;

/**
 * Whether webhooks may go to a host, as far as its name tells now: refused if any address of it is refused. A name that
 * does not resolve, or not within 2 s, is accepted; each connection checks again where it leads. Never throws.
 * @param host as {@link addressOf} gives it.
 */
export async function resolveAndCheck(
  host: string,
  port: number,
  guard: Pick<AddressGuard, 'checkAddress'>,
  lookup: HostLookup,
): Promise<{ readonly ok: true } | UrlProblem> {
  const waited = new AbortController();
  const late = sleep(PATIENCE_MS, [], { signal: waited.signal }).catch(() => []);
  try {
    const addresses = await Promise.race([lookup(host).catch(() => []), late]);
    return addresses.every((ip) => guard.checkAddress(ip, port) === 'allowed') ? { ok: true } : NOT_PUBLIC_PROBLEM;
  } finally {
    waited.abort();
  }
}
