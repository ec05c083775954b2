import type { Clock } from '@renderyard/shared/clock';
import type { Config } from '@renderyard/shared/config';
import type { CreditDecision } from '@renderyard/shared/credits/credit-decision';
import type { CreditDecisions } from '@renderyard/shared/credits/credit-decisions';
import type { Ledger } from '@renderyard/shared/credits/ledger';
import type { Logger } from '@renderyard/shared/logger';
import { logAudit } from '../audit-log.ts';
import { asDecided } from '../errors/decided-problem.ts';
import { ProblemError } from '../errors/problem-error.ts';
import type { Feeder } from '../jobs/feeder.ts';
import type { Turns } from '../turns.ts';
import { type CreditChange, creditTermsOf } from './credit-changes.ts';
import { limitsInForce } from './limits-in-force.ts';

export interface DecideCreditsDeps {
  readonly decisions: CreditDecisions;
  readonly ledger: Ledger;
  readonly feedQueue: Feeder;
  readonly config: Config;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Decides about the credits: first in the store, then in Redis. When this resolves the decision holds and survives both.
 * Of several at once each sees what the one before it decided. Where nothing is to change nothing is written.
 * @param by the account that decides.
 * @throws {ProblemError} `credits_changing`, and of what failed after it was decided. @throws {StoreError} when nothing
 * was decided.
 */
export async function decideCredits(deps: DecideCreditsDeps, by: string, change: CreditChange): Promise<void> {
  const { decisions, ledger, config, clock } = deps;
  for await (const _ of deps.turns.tries('credits')) {
    const now = clock.now();
    let state = await ledger.snapshot(now);
    // A Redis that was used with another store may know of later decisions than the store does. It is read first: of
    // decisions that are made meanwhile the store knows sooner.
    const inForceBefore = state.decision;
    const last = await decisions.last();
    // What was decided by somebody who did not get to the second step comes first.
    if (last !== undefined && state.decision < last.seq) {
      await ledger.applyDecision(last);
      state = await ledger.snapshot(now);
    }
    const { floor, low, resume } = limitsInForce(state, config);
    const settings = { floor: floor.setting, low: low.setting, resume: resume.setting };
    const outcome = change({ terms: creditTermsOf(last, settings), settings, holds: state.holds, now });
    if (outcome === undefined) return;
    const { terms, action, changes } = outcome;
    const seq = Math.max(last?.seq ?? 0, inForceBefore) + 1;
    const decision: CreditDecision = { seq, at: now, by, action, changes, ...terms };
    if (!(await decisions.write(decision))) continue;
    logAudit(deps.logger, { by, action, changes });
    return await inForce(deps, decision);
  }
  throw new ProblemError('credits_changing', undefined, { retryAfter: 1 });
}

/** @throws {ProblemError} that says that it is decided, whatever it is that fails. */
async function inForce({ ledger, feedQueue }: DecideCreditsDeps, decision: CreditDecision): Promise<void> {
  try {
    await ledger.applyDecision(decision);
    await feedQueue();
  } catch (error) {
    throw asDecided(error);
  }
}
