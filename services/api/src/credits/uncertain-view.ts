import { toCredits } from '@renderyard/shared/credits/amount';
import type { Comparison, CreditState, Reconciliation, UncertainCall } from '@renderyard/shared/credits/credit-books';
import type { CreditsView } from './credits-schema.ts';
import { likelyBilled } from './likely-billed.ts';

/** At most this many uncertain calls are listed, the latest first. */
const MOST_CALLS = 100;

const time = (ms: number) => new Date(ms).toISOString();

/** The uncertain calls that are listed, the latest first. */
export function latestCalls({ uncertainCalls }: Pick<CreditState, 'uncertainCalls'>): readonly UncertainCall[] {
  return [...uncertainCalls].sort((a, b) => b.at - a.at).slice(0, MOST_CALLS);
}

/** @param showJob whether the caller may know of a job. */
export function viewUncertain(state: CreditState, showJob: (job: string) => boolean): CreditsView['uncertain'] {
  const { net, last } = state.reconciliation;
  const likely = likelyBilled(state.uncertainCalls);
  return {
    count: state.uncertainCalls.length,
    credits: toCredits(state.uncertain),
    calls: latestCalls(state).map((call) => ({
      id: call.call,
      job_id: showJob(call.job) ? call.job : null,
      model: call.model ?? null,
      started_at: time(call.startedAt),
      found_at: time(call.at),
      how: call.how,
      billable_until: time(call.billableUntil),
      estimate: toCredits(call.estimate),
      resolved: call.resolved,
      balance_since:
        call.balanceNet === undefined
          ? null
          : {
              unexplained: toCredits((call.balanceNetThen ?? net) - call.balanceNet),
              read_at: last !== undefined && last.at > call.at ? time(last.at) : null,
            },
      likely: likely.get(call.call) ?? 'unknown',
    })),
  };
}

export function viewReconciliation({
  last,
  differences,
  unexplained,
  added,
}: Reconciliation): CreditsView['reconciliation'] {
  return {
    last: last === undefined ? null : viewComparison(last),
    differences: differences.map(viewComparison),
    unexplained: toCredits(unexplained),
    added: toCredits(added),
  };
}

function viewComparison({ from, at, before, spent, read, difference }: Comparison) {
  return {
    ...{ from: time(from), at: time(at), before: toCredits(before), spent: toCredits(spent) },
    ...{ read: toCredits(read), difference: toCredits(difference) },
  };
}
