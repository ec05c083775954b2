import type { Clock } from '@renderyard/shared/clock';
import type { RenderCall } from './admission.ts';
import type { Answer } from './answer.ts';
import type { PickedFault } from './fault-book.ts';
import { applyFault } from './fault-effects.ts';
import { transmit } from './transmit.ts';
import type { World } from './world.ts';

/**
 * Sends the answer of a call, as a fault may change it, and keeps in the call's record what became of it.
 * @param waitMs before the first byte.
 */
export async function deliver(
  { world, clock }: { readonly world: World; readonly clock: Clock },
  { exchange, record }: RenderCall,
  normal: Answer,
  fault?: PickedFault,
  waitMs = 0,
): Promise<void> {
  const { answer, manner } = applyFault(fault?.effect, normal, clock.now());
  if (waitMs > 0) await clock.sleep(waitMs, world.ended);
  if (world.ended.aborted) {
    record.end = 'stopped';
    return;
  }
  const silent = manner.kind === 'hang' || manner.kind === 'reset';
  record.status = silent ? null : answer.status;
  record.end = await transmit(exchange, answer, manner);
  if (record.end === 'client_gone' && !exchange.response.headersSent) record.status = null;
}

/** All that a fault makes a call wait when nothing is billed between. */
export function waitOf(fault: PickedFault | undefined): number {
  return (fault?.effect.delay_ms ?? 0) + (fault?.effect.delay_after_billing_ms ?? 0);
}
