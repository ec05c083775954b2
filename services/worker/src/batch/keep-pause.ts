import type { BatchDecision } from '@renderyard/shared/batch/batch';
import type { BatchFiles } from '@renderyard/shared/batch/batch-files';
import type { BatchState } from '@renderyard/shared/batch/batch-state';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { Logger } from '@renderyard/shared/logger';

/** Batches whose pause lies in the store, as far as this process remembers. */
const REMEMBERED = 1000;

/**
 * Writes into the store that a batch paused itself, so that it stays paused when Redis is emptied. What a person has
 * decided meanwhile comes first: of two decisions with one number only one can be written.
 */
export function createPauseKeeper({
  states,
  files,
  logger,
}: {
  readonly states: BatchStates;
  readonly files: BatchFiles;
  readonly logger: Logger;
}) {
  const kept = new Set<string>();
  return async (id: string): Promise<void> => {
    const state = await states.get(id);
    if (state?.status !== 'paused' || state.hold === undefined || state.hold.reason === 'batch_paused') return;
    const name = `${id} ${state.hold.since}`;
    if (kept.has(name)) return;
    const stored = await files.readDecision(id);
    if (stored === undefined) throw new Error(`The store has lost the decisions about ${id}.`);
    const decision = pauseDecision(stored, state);
    if (decision === undefined) await states.decide(id, stored);
    // Another's decision was quicker; the next round finds it.
    else if (!(await files.writeDecision(id, decision))) return;
    else {
      await states.decide(id, decision);
      logger.warn({ batch: id, hold: state.hold.reason }, state.hold.detail);
    }
    kept.add(name);
    const oldest = kept.size > REMEMBERED ? kept.values().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
  };
}

/** The decision that is to be written for a batch that paused itself; undefined when the one in the store holds. */
export function pauseDecision(stored: BatchDecision, state: BatchState): BatchDecision | undefined {
  const { hold } = state;
  if (hold === undefined || stored.seq > state.decision || stored.status === 'canceled') return undefined;
  if (stored.status === 'paused' && stored.hold?.reason === hold.reason && stored.hold.since === hold.since)
    return undefined;
  const { by: _by, action: _action, changes: _changes, ...terms } = stored;
  return { ...terms, seq: stored.seq + 1, at: hold.since, status: 'paused', hold };
}
