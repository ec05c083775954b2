import type { Config } from '@renderyard/shared/config';
import { addressOf, createAddressGuard } from '@renderyard/shared/webhook/address-guard';
import { createHostLookup } from '@renderyard/shared/webhook/host-lookup';
import { ownPorts } from '@renderyard/shared/webhook/own-ports';
import { resolveAndCheck } from '@renderyard/shared/webhook/resolve-and-check';
import type { CheckWebhookUrl } from './webhook-url.ts';

/**
 * Refuses URLs that lead to where no webhook may go, as their text and their names tell now. Whoever sends checks each
 * address again: what a name leads to may change.
 */
export function createWebhookUrlGuard(config: Config, redisUrl: string): CheckWebhookUrl {
  const allow = config.WEBHOOK_ALLOW_CIDRS;
  const guard = createAddressGuard({ allow, ownPorts: ownPorts(config, redisUrl) });
  const lookup = createHostLookup({ localNames: allow.length > 0 });
  return async (url) => {
    const checked = guard.checkUrl(url);
    if (!checked.ok) return checked.detail;
    const { host, port } = addressOf(checked.url);
    const resolved = await resolveAndCheck(host, port, guard, lookup);
    return resolved.ok ? undefined : resolved.detail;
  };
}
