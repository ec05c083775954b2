import type { Logger } from '../logger.ts';
import type { CreditDecision } from './credit-decision.ts';
import type { CreditDecisions } from './credit-decisions.ts';
import type { Ledger } from './ledger.ts';

/**
 * Puts the last decision about credits into force, which may lie in the store without Redis having been told. Done as a
 * process starts; while the store cannot be read what Redis knows goes on to hold, and the log says so.
 * @returns the decision, undefined where there is none.
 * @throws what Redis threw.
 */
export async function reapplyDecision({
  decisions,
  ledger,
  logger,
}: {
  readonly decisions: Pick<CreditDecisions, 'last'>;
  readonly ledger: Pick<Ledger, 'applyDecision'>;
  readonly logger: Logger;
}): Promise<CreditDecision | undefined> {
  let last: CreditDecision | undefined;
  try {
    last = await decisions.last();
  } catch (error) {
    logger.warn({ err: error }, 'the last decision about credits cannot be read; what Redis knows holds');
    return undefined;
  }
  if (last !== undefined) await ledger.applyDecision(last);
  return last;
}
