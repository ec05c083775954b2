import type { Clock } from '@renderyard/shared/clock';
import { type DisabledReason, withOwnDisablings } from '@renderyard/shared/webhook/endpoint';
import type { EndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { putInForce } from '@renderyard/shared/webhook/reapply-endpoints';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';

/**
 * Writes into the store that endpoints have disabled themselves, so that they stay so when Redis is emptied. Of two
 * decisions with one number only one can be written; the next round looks again.
 * @throws {StoreError} when the store cannot be written.
 */
export async function keepDisabled({
  webhooks,
  decisions,
  clock,
}: {
  readonly webhooks: Pick<WebhookStore, 'undecided' | 'receiver' | 'appliedSeq' | 'applyEndpoints'>;
  readonly decisions: Pick<EndpointDecisions, 'last' | 'write'>;
  readonly clock: Clock;
}): Promise<void> {
  const undecided = await webhooks.undecided();
  for (const account of new Set(undecided.map((each) => each.account))) {
    const applied = await webhooks.appliedSeq(account);
    const last = await decisions.last(account);
    if (last === undefined) continue;
    const own = undecided.filter((each) => each.account === account);
    const states = new Map(
      await Promise.all(
        own.map(async ({ id }) => {
          const { reason, state = 'enabled', ...known } = await webhooks.receiver(id);
          return [id, { ...known, state, reason: reason as DisabledReason | undefined }] as const;
        }),
      ),
    );
    const endpoints = withOwnDisablings(last.endpoints, states);
    const disabled = endpoints.filter((endpoint, i) => endpoint !== last.endpoints[i]);
    const decision = {
      account,
      // A Redis that was used with another store may know of later decisions than this one does.
      seq: Math.max(last.seq, applied) + 1,
      at: Math.max(clock.now(), ...disabled.map((endpoint) => (endpoint.disabled?.since ?? 0) + 1)),
      action: 'disable',
      changes: disabled.map(({ id, disabled: why }) => ({
        what: `${id}.state`,
        from: 'enabled',
        to: `disabled: ${why?.reason}`,
      })),
      endpoints,
    } as const;
    // Where none was found another decision knows of it already; Redis is told again.
    if (disabled.length === 0) await putInForce(webhooks, last);
    else if (await decisions.write(decision)) await putInForce(webhooks, decision);
  }
}
