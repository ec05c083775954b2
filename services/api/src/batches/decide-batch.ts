import { type BatchAction, type BatchDecision, isBatchFinal } from '@renderyard/shared/batch/batch';
import { type BatchFiles, JSON_TYPE } from '@renderyard/shared/batch/batch-files';
import { openKey } from '@renderyard/shared/batch/batch-layout';
import type { BatchState } from '@renderyard/shared/batch/batch-state';
import type { BatchStates } from '@renderyard/shared/batch/batch-states';
import type { FoundBatch } from '@renderyard/shared/batch/found-batch';
import type { Clock } from '@renderyard/shared/clock';
import type { Logger } from '@renderyard/shared/logger';
import { loadProgress } from '@renderyard/shared/recovery/load-progress';
import type { Store } from '@renderyard/shared/store/store';
import { logAudit } from '../audit-log.ts';
import { asDecided } from '../errors/decided-problem.ts';
import { ProblemError } from '../errors/problem-error.ts';
import type { Feeder } from '../jobs/feeder.ts';
import type { Turns } from '../turns.ts';
import { changedTerms } from './batch-audit.ts';
import { type Change, termsOf } from './batch-changes.ts';
import type { BatchFinder } from './batch-finder.ts';

export interface DecideDeps {
  readonly store: Store;
  readonly files: BatchFiles;
  readonly states: BatchStates;
  readonly finder: BatchFinder;
  readonly feedQueue: Feeder;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Decides about a batch: first in the store, then in Redis. When this resolves the decision holds and survives both. Of
 * several at once each sees what the one before it decided.
 * @returns the batch as it stands then.
 * @throws {ProblemError} `batch_changing`, `not_found`, and of what the change throws.
 */
export async function decideBatch(
  deps: DecideDeps,
  { id, account, action }: { readonly id: string; readonly account: string; readonly action: BatchAction },
  change: Change,
): Promise<FoundBatch> {
  const { files, finder } = deps;
  for await (const _ of deps.turns.tries(id)) {
    let found = await finder.find(id, account);
    const last = await files.readDecision(id);
    if (last === undefined) throw new ProblemError('not_found', 'There is no such batch.');
    // What was decided by somebody who did not get to the second step comes first.
    if (found.state.decision < last.seq || found.state.runs < last.runs) {
      await enforce(deps, found, last);
      found = await finder.find(id, account);
    }
    const now = deps.clock.now();
    const before = termsOf(last, found.state);
    const terms = change({ terms: before, state: found.state, now });
    if (terms === undefined) return found;
    // Before the decision: a batch that is open and was decided about is found by a recovery.
    if (isBatchFinal(found.state.status) && terms.runs > last.runs) await writeOpen(deps.store, id);
    const changes = changedTerms(before, terms);
    const decision: BatchDecision = { ...terms, seq: last.seq + 1, at: now, by: account, action, changes };
    if (!(await files.writeDecision(id, decision))) continue;
    logAudit(deps.logger, { by: account, action, batch_id: id, changes });
    return await inForce(deps, found, decision);
  }
  throw new ProblemError('batch_changing', undefined, { retryAfter: 1 });
}

/**
 * The batch under a decision that lies in the store.
 * @throws {ProblemError} that says that it is decided, whatever it is that fails.
 */
async function inForce(deps: DecideDeps, found: FoundBatch, decision: BatchDecision): Promise<FoundBatch> {
  const { id, account } = found.record;
  try {
    await enforce(deps, found, decision);
    await deps.feedQueue();
    return await deps.finder.find(id, account);
  } catch (error) {
    throw asDecided(error, { batch_id: id });
  }
}

/** Puts a decision that lies in the store into force. */
async function enforce(deps: DecideDeps, { record, state }: FoundBatch, decision: BatchDecision): Promise<void> {
  const { store, files, states } = deps;
  const { id, account } = record;
  const known = await states.decide(id, decision);
  if (known !== undefined && !isBatchFinal(known.status)) return;
  if (isOpen(known ?? state, decision)) {
    await writeOpen(store, id);
    await states.open(record, decision, await loadProgress({ files, store }, record, decision));
  } else if (known !== undefined) {
    // Redis keeps ended batches as they ended; the store tells what was decided since.
    await states.forget(account, id);
    await states.addToList(account, id);
  }
}

/** Whether a batch has rows to render: it has not ended, or its failed rows were retried since. */
function isOpen(state: BatchState, decision: BatchDecision): boolean {
  return !isBatchFinal(state.status) || (state.status === 'completed' && decision.runs > state.runs);
}

async function writeOpen(store: Store, id: string): Promise<void> {
  await store.put(openKey(id), Buffer.alloc(0), { contentType: JSON_TYPE });
}
