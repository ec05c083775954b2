import type { Clock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import type { Endpoint, EndpointDecision } from '@renderyard/shared/webhook/endpoint';
import type { EndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { putInForce } from '@renderyard/shared/webhook/reapply-endpoints';
import type { WebhookStore } from '@renderyard/shared/webhook/webhook-store';
import { logAudit } from '../audit-log.ts';
import { asDecided } from '../errors/decided-problem.ts';
import { ProblemError } from '../errors/problem-error.ts';
import type { Turns } from '../turns.ts';
import type { EndpointChange } from './endpoint-changes.ts';
import { withReceiver } from './read-endpoints.ts';

export interface DecideEndpointsDeps {
  readonly endpointDecisions: EndpointDecisions;
  readonly webhookStore: WebhookStore;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Decides about the endpoints of an account: first in the store, then in Redis. When this resolves the decision holds and
 * survives both. Of several at once each sees what the one before it decided, and those that have disabled themselves
 * stay disabled unless the change says otherwise. Where nothing is to change nothing is written.
 * @param account whose they are, and who decides.
 * @returns the endpoints as they are decided about then.
 * @throws {ProblemError} `webhooks_changing`, of what the change throws, and of what failed after it was decided.
 * @throws {StoreError} when nothing was decided.
 */
export async function decideEndpoints(
  deps: DecideEndpointsDeps,
  account: string,
  change: EndpointChange,
): Promise<readonly Endpoint[]> {
  const { endpointDecisions, webhookStore, clock } = deps;
  for await (const _ of deps.turns.tries(`webhooks of ${account}`)) {
    // A Redis that was used with another store may know of later decisions than the store does. It is read first: of
    // decisions that are made meanwhile the store knows sooner.
    const applied = await webhookStore.appliedSeq(account);
    const last = await endpointDecisions.last(account);
    // What was decided by somebody who did not get to the second step comes first.
    if (last !== undefined && applied < last.seq) await putInForce(webhookStore, last);
    const standing = await Promise.all((last?.endpoints ?? []).map((each) => withReceiver(webhookStore, each)));
    const endpoints = standing.map(({ endpoint }) => endpoint);
    const now = momentAfter(endpoints, Math.max(clock.now(), (last?.at ?? 0) + 1));
    const outcome = change({ endpoints, now });
    if (outcome === undefined) return endpoints;
    const { id, action, changes } = outcome;
    const seq = Math.max(last?.seq ?? 0, applied) + 1;
    const decision: EndpointDecision = {
      ...{ account, seq, at: now, by: account, action, changes },
      endpoints: outcome.endpoints,
    };
    if (!(await endpointDecisions.write(decision))) continue;
    logAudit(deps.logger, { by: account, action, webhook_id: id, changes });
    await putInForce(webhookStore, decision).catch((error: unknown) => {
      throw asDecided(error, { webhook_id: id });
    });
    return outcome.endpoints;
  }
  throw new ProblemError('webhooks_changing', undefined, { retryAfter: 1 });
}

/** A time, and after all that has disabled itself: that is by Redis's clock, which may be ahead of ours. */
function momentAfter(endpoints: readonly Endpoint[], time: number): number {
  return Math.max(time, ...endpoints.map(({ disabled }) => (disabled === null ? 0 : disabled.since + 1)));
}
