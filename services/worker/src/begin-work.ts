import type { Config } from '@renderyard/shared/config';
import { createCreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import { reapplyDecision } from '@renderyard/shared/credits/reapply-decision';
import type { Logger } from '@renderyard/shared/logger';
import type { Member } from '@renderyard/shared/member';
import { GenerationLostError } from '@renderyard/shared/redis/script';
import { createEndpointDecisions } from '@renderyard/shared/webhook/endpoint-decisions';
import { reapplyEndpoints } from '@renderyard/shared/webhook/reapply-endpoints';
import type { KeptImages } from './render/kept-images.ts';
import type { SharedState } from './shared-state.ts';

/** The upstream's origin. All on this machine are one: a simulator takes another port at each start. */
function upstreamName(baseUrl: string): string {
  const { hostname, origin } = new URL(baseUrl);
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname) ? 'a simulator on this machine' : origin;
}

/** The parts of a worker that begin by themselves, each once it may. */
interface Parts {
  readonly upkeep: { start(): void };
  readonly keeping: { start(): void };
  readonly tickets: { run(): void };
  readonly webhooking: { start(): void };
}

/**
 * Begins the work of a worker, once this process has found its Redis and has what the others have. Resolves when all of it
 * has begun, or the signal aborts.
 * @throws what Redis or the store threw.
 */
export async function beginWork(deps: {
  readonly config: Config;
  readonly member: Member;
  readonly state: SharedState;
  readonly keptImages: KeptImages;
  readonly parts: Parts;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
}): Promise<void> {
  const { member, keptImages, parts, stopping } = deps;
  const { roster, recovery } = member;
  await recovery.ready(stopping);
  // Rows that lie in another store cannot be read here, and nobody would find what was paid for.
  await roster.agreedOn(['store'], stopping);
  if (stopping.aborted) return;
  await keptImages.store();
  try {
    await bringIntoForce(deps);
  } catch (error) {
    if (!(error instanceof GenerationLostError)) throw error;
    await recovery.ensure();
    return beginWork(deps);
  }
  if (stopping.aborted) return;
  parts.upkeep.start();
  parts.keeping.start();
  parts.tickets.run();
  // What is signed with another secret nobody can verify. Other workers send it, or this one when it agrees.
  await roster.agreedOn(['SECRET_KEY', 'WEBHOOK_SECRET'], stopping);
  if (!stopping.aborted) parts.webhooking.start();
}

/** Tells Redis of this worker's upstream, and of what was decided by hand and lies in the store. */
async function bringIntoForce({
  config,
  state: { ledger, store, webhooks },
  logger,
}: {
  readonly config: Config;
  readonly state: SharedState;
  readonly logger: Logger;
}): Promise<void> {
  const limits = { floor: config.floor, low: config.low, resume: config.resume };
  const { was, waiting } = await ledger.meetUpstream(upstreamName(config.SEGMIND_BASE_URL), limits);
  if (was !== undefined) logger.warn({ was, held_jobs: waiting }, 'the upstream is another one than before');
  await reapplyDecision({ decisions: createCreditDecisions({ store }), ledger, logger });
  await reapplyEndpoints({ decisions: createEndpointDecisions({ store, logger }), webhooks, logger });
}
