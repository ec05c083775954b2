import type { Config } from '@renderyard/shared/config';
import type { Endpoint } from '@renderyard/shared/webhook/endpoint';
import { asDecided } from '../errors/decided-problem.ts';
import { type DecideEndpointsDeps, decideEndpoints } from './decide-endpoints.ts';
import { type EndpointChange, endpointWith, remove } from './endpoint-changes.ts';
import { withReceiver } from './read-endpoints.ts';
import { viewWebhook, type WebhookView } from './webhook-view.ts';

/** An endpoint, and how its owner reads it. */
export interface ShownEndpoint {
  readonly endpoint: Endpoint;
  readonly view: WebhookView;
}

/** Reads and changes the endpoints of accounts; another account's are not found. */
export interface WebhookDesk {
  /** The oldest first. @throws {StoreError}. */
  list(account: string): Promise<readonly ShownEndpoint[]>;
  /** @throws {ProblemError} `not_found`. @throws {StoreError}. */
  find(account: string, id: string): Promise<ShownEndpoint>;
  /** @returns the endpoint as it is then. @throws as {@link decideEndpoints} does. */
  change(account: string, id: string, change: EndpointChange): Promise<ShownEndpoint>;
  /** @throws as {@link decideEndpoints} does. */
  remove(account: string, id: string): Promise<void>;
  /**
   * Has what happened since a time, and was not kept for an endpoint, told after all.
   * @param since milliseconds since 1970, or `missed`: what the record of the endpoint says, which may be nothing.
   */
  recover(account: string, id: string, since: number | 'missed'): Promise<void>;
}

export function createWebhookDesk(deps: DecideEndpointsDeps & { readonly config: Config }): WebhookDesk {
  const { webhookStore, endpointDecisions, clock } = deps;
  const show = async (decided: Endpoint): Promise<ShownEndpoint> => {
    const found = await withReceiver(webhookStore, decided);
    const context = { publicUrl: deps.config.PUBLIC_URL, now: clock.now() };
    return { endpoint: found.endpoint, view: viewWebhook(found, context) };
  };
  const read = async (account: string) => (await endpointDecisions.last(account))?.endpoints ?? [];
  return {
    list: async (account) => Promise.all((await read(account)).map(show)),
    find: async (account, id) => show(endpointWith(await read(account), id)),
    async change(account, id, change) {
      const endpoints = await decideEndpoints(deps, account, change);
      try {
        return await show(endpointWith(endpoints, id));
      } catch (error) {
        throw asDecided(error, { webhook_id: id });
      }
    },
    async remove(account, id) {
      await decideEndpoints(deps, account, remove(id));
    },
    async recover(account, id, since) {
      try {
        const from = since === 'missed' ? (await webhookStore.receiver(id)).missedSince : since;
        if (from !== undefined) await webhookStore.requestCatchUp(id, account, from);
      } catch (error) {
        throw asDecided(error, { webhook_id: id });
      }
    },
  };
}
