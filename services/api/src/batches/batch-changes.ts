import { type BatchDecision, isBatchFinal } from '@renderyard/shared/batch/batch';
import type { BatchState } from '@renderyard/shared/batch/batch-state';
import type { Nanocredits } from '@renderyard/shared/credits/amount';
import type { EventType } from '@renderyard/shared/webhook/event-type';
import { ProblemError } from '../errors/problem-error.ts';

/** What of a decision may change. */
export type Terms = Omit<BatchDecision, 'seq' | 'at' | 'by' | 'action' | 'changes'>;

/** A batch as it was decided about last, and as it stands. */
export interface Standing {
  readonly terms: Terms;
  readonly state: BatchState;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** The terms that are to hold from now on; undefined where all is as it shall be. Throws where it makes no sense. */
export type Change = (standing: Standing) => Terms | undefined;

/**
 * The terms that hold: those of the last decision, less what came about since. A batch may have paused itself, and one
 * whose rows have all ended is paused no more.
 */
export function termsOf(last: BatchDecision, state: BatchState): Terms {
  const { seq: _seq, at: _at, by: _by, action: _action, changes: _changes, hold, ...decision } = last;
  if (decision.status === 'canceled') return decision;
  return state.status === 'paused' && state.hold !== undefined
    ? { ...decision, status: 'paused', hold: state.hold }
    : { ...decision, status: 'running' };
}

/** @param again the request was begun before and broke off: what it asks for may be done already. */
export function pause(again: boolean): Change {
  return (standing) => {
    const { terms, state, now } = standing;
    refuseEnded(standing, 'pause');
    if (state.status === 'paused') {
      if (again && state.hold?.reason === 'batch_paused') return undefined;
      throw new ProblemError('batch_paused', `The batch is paused already. ${state.hold?.detail ?? ''}`.trim());
    }
    const detail = 'Somebody paused the batch. It goes on when it is resumed.';
    return { ...terms, status: 'paused', hold: { reason: 'batch_paused', since: now, detail } };
  };
}

export function resume(again: boolean): Change {
  return (standing) => {
    const { terms, state } = standing;
    refuseEnded(standing, 'resume');
    if (state.status !== 'paused') {
      if (again) return undefined;
      throw new ProblemError('batch_not_paused', `The batch is ${state.status}; there is nothing to resume.`);
    }
    if (state.hold?.reason === 'batch_budget') throw new ProblemError('batch_over_budget');
    return running(terms);
  };
}

export function cancel(again: boolean): Change {
  return ({ terms, state }) => {
    // Asked once more, it is as it was: no call is admitted, and those in flight end.
    if (state.status === 'canceling' || (again && state.status === 'canceled')) return undefined;
    if (isBatchFinal(state.status) || state.status === 'finishing')
      throw new ProblemError(
        'batch_ended',
        `The batch is ${state.status}: every row has ended; there is nothing to cancel.`,
      );
    return { ...running(terms), status: 'canceled' };
  };
}

/** Has the failed rows rendered again, under their identities. A batch that stopped because they failed goes on. */
export function retry(again: boolean): Change {
  return ({ terms, state }) => {
    if (terms.status === 'canceled')
      throw new ProblemError(
        'batch_canceled',
        'The batch was canceled, which is final: its rows cannot be retried. Import them again.',
      );
    if (state.failed === 0) {
      if (again) return undefined;
      throw new ProblemError('batch_not_retryable');
    }
    const stays = state.status === 'paused' && state.hold?.reason !== 'batch_failing';
    return { ...(stays ? terms : running(terms)), runs: terms.runs + 1 };
  };
}

/** What a PATCH may set; what is left out stays, and null takes it away. */
export interface Patch {
  readonly name?: string | null;
  readonly budget?: Nanocredits | null;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly webhook?: string | null;
  readonly webhook_events?: readonly EventType[] | null;
}

/** A batch that stopped at its budget goes on with a higher one. */
export function patch(values: Patch): Change {
  return ({ terms, state }) => {
    if (Object.keys(values).length === 0) return undefined;
    const changed = patched(terms, values);
    const suffices = changed.budget === null || changed.budget > state.cost + state.reserved;
    return 'budget' in values && suffices && state.hold?.reason === 'batch_budget' ? running(changed) : changed;
  };
}

function patched(
  { webhook: oldWebhook, webhook_events: oldEvents, ...terms }: Terms,
  { webhook = oldWebhook, webhook_events: events = oldEvents, ...values }: Patch,
): Terms {
  return {
    ...terms,
    ...values,
    ...(webhook === null || webhook === undefined ? {} : { webhook }),
    ...(events === null || events === undefined ? {} : { webhook_events: events }),
  };
}

function running({ hold: _hold, ...terms }: Terms): Terms {
  return terms.status === 'canceled' ? terms : { ...terms, status: 'running' };
}

function refuseEnded({ state, terms }: Standing, what: string): void {
  if (state.status === 'canceled' || terms.status === 'canceled')
    throw new ProblemError('batch_canceled', `The batch is canceled; there is nothing to ${what}.`);
  if (isBatchFinal(state.status) || state.status === 'finishing')
    throw new ProblemError(
      'batch_ended',
      `The batch is ${state.status}: every row has ended; there is nothing to ${what}.`,
    );
}
