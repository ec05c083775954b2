import type { Clock } from '@renderyard/shared/clock';
import type { RenderCall } from './admission.ts';
import type { Answer } from './answer.ts';
import type { PickedFault } from './fault-book.ts';
import { applyFault } from './fault-effects.ts';
import { type Exchange, transmit } from './transmit.ts';
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
  await pause(clock, waitMs, world.ended, exchange);
  if (world.ended.aborted) {
    record.end = 'stopped';
    return;
  }
  const silent = manner.kind === 'hang' || manner.kind === 'reset';
  record.status = silent ? null : answer.status;
  record.end = await transmit(exchange, answer, manner);
  if (record.end === 'client_gone' && !exchange.response.headersSent) record.status = null;
}

/** Waits, but no longer than the connection is there: nobody is left to wait for then. */
async function pause(clock: Clock, ms: number, ended: AbortSignal, { request: { socket } }: Exchange): Promise<void> {
  if (ms <= 0 || socket.destroyed) return;
  const gone = new AbortController();
  const onClose = () => gone.abort();
  socket.once('close', onClose);
  await clock.sleep(ms, AbortSignal.any([ended, gone.signal]));
  socket.off('close', onClose);
}

/** All that a fault makes a call wait when nothing is billed between. */
export function waitOf(fault: PickedFault | undefined): number {
  return (fault?.effect.delay_ms ?? 0) + (fault?.effect.delay_after_billing_ms ?? 0);
}
