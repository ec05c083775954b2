import type { Logger } from '../logger.ts';
import type { EndpointDecision } from './endpoint.ts';
import type { EndpointDecisions } from './endpoint-decisions.ts';

/** Puts a decision about an account's endpoints into force, unless a later one is. */
export type ApplyEndpoints = (decision: EndpointDecision) => Promise<unknown>;

/**
 * Puts the last decision about each account's endpoints into force, as a Redis that is rebuilt knows of none.
 * @throws {StoreError} when the store cannot be read. @throws what Redis threw.
 */
export async function restoreEndpoints({
  decisions,
  applyEndpoints,
}: {
  readonly decisions: Pick<EndpointDecisions, 'listAccounts' | 'last'>;
  readonly applyEndpoints: ApplyEndpoints;
}): Promise<void> {
  for (const account of await decisions.listAccounts()) {
    const last = await decisions.last(account);
    if (last !== undefined) await applyEndpoints(last);
  }
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
