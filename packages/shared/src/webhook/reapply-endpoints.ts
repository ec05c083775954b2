import type { Logger } from '../logger.ts';
import type { EndpointDecision } from './endpoint.ts';
import type { EndpointDecisions } from './endpoint-decisions.ts';
import { eventsField } from './event-type.ts';
import type { KnownEndpoint } from './receiver-store.ts';
import type { WebhookStore } from './webhook-store.ts';

type Webhooks = Pick<WebhookStore, 'applyEndpoints'>;

/** Puts a decision about an account's endpoints into force in Redis, unless a later one is. */
export async function putInForce(webhooks: Webhooks, decision: EndpointDecision): Promise<void> {
  const { account, seq, at, endpoints } = decision;
  const known = endpoints.map(
    ({ id, url, events, state, disabled, secrets }): KnownEndpoint => ({
      ...{ id, url, state, events: eventsField(events), secrets: JSON.stringify(secrets) },
      ...(disabled === null ? {} : { reason: disabled.reason, disabledAt: disabled.since }),
    }),
  );
  await webhooks.applyEndpoints({ account, seq, at, endpoints: known });
}

/**
 * Puts the last decision about each account's endpoints into force, as a Redis that is rebuilt knows of none.
 * @returns these decisions.
 * @throws {StoreError} when the store cannot be read. @throws what Redis threw.
 */
export async function restoreEndpoints({
  decisions,
  webhooks,
}: {
  readonly decisions: Pick<EndpointDecisions, 'listAccounts' | 'last'>;
  readonly webhooks: Webhooks;
}): Promise<readonly EndpointDecision[]> {
  const inForce: EndpointDecision[] = [];
  for (const account of await decisions.listAccounts()) {
    const last = await decisions.last(account);
    if (last === undefined) continue;
    await putInForce(webhooks, last);
    inForce.push(last);
  }
  return inForce;
}

/**
 * The same as a process starts: a decision may lie in the store without Redis having been told. Where it fails what Redis
 * knows goes on to hold, and the log says so. Never throws.
 */
export async function reapplyEndpoints({
  logger,
  ...deps
}: Parameters<typeof restoreEndpoints>[0] & { readonly logger: Logger }): Promise<void> {
  try {
    await restoreEndpoints(deps);
  } catch (error) {
    logger.warn(
      { err: error },
      'the last decisions about webhooks could not be put into force; what Redis knows holds',
    );
  }
}
