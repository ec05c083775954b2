import { logAudit } from '../audit-log.ts';
import { ProblemError } from '../errors/problem-error.ts';
import { toProblem } from '../errors/to-problem.ts';
import { hold } from './credit-changes.ts';
import { type DecideCreditsDeps, decideCredits } from './decide-credits.ts';

/** Nothing of the kind is thrown once a hold lies in the store. */
const UNNOTED = new Set(['store_unavailable', 'credits_changing']);
const UNNOTED_DETAIL =
  'All work is held from now on, as you asked, but that could not be noted in the store: were Redis emptied, the hold would end. Ask again, which is harmless, to have it noted.';

/**
 * Holds all work until an operator resumes. The hold is in force at once, whatever becomes of the store; when this
 * resolves it also outlives Redis.
 * @throws {ProblemError} that says that the hold is in force, when it could not be noted.
 */
export async function holdWork(deps: DecideCreditsDeps, by: string, detail: string): Promise<void> {
  await deps.ledger.setHold('operator', detail);
  try {
    await decideCredits(deps, by, hold(detail));
  } catch (error) {
    const { code, options } = toProblem(error);
    if (!UNNOTED.has(code)) throw error;
    logAudit(deps.logger, { by, action: 'hold', changes: [{ what: 'hold', from: null, to: detail }] });
    throw new ProblemError(code, UNNOTED_DETAIL, { ...options, cause: error });
  }
}
