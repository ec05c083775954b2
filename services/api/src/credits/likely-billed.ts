import type { Nanocredits } from '@renderyard/shared/credits/amount';
import type { UncertainCall } from '@renderyard/shared/credits/credit-books';

/** What the balance suggests of a call whose outcome nobody told: a guess for people, that settles nothing. */
export type Likely = 'billed' | 'not_billed' | 'unknown';

/**
 * Compares what went from the balance unexplained, from when each call was found out to be uncertain until it could be
 * billed no more, with what the call would have cost. Calls that were found out between the same two exact readings are
 * judged together. Whatever else went meanwhile (another spender, other such calls, a top-up) makes it unknown in most
 * cases, rather than wrong.
 * @returns by id of the call.
 */
export function likelyBilled(calls: readonly UncertainCall[]): ReadonlyMap<string, Likely> {
  const groups = new Map<Nanocredits, UncertainCall[]>();
  for (const call of calls) {
    if (call.balanceNet === undefined) continue;
    const group = groups.get(call.balanceNet) ?? [];
    group.push(call);
    groups.set(call.balanceNet, group);
  }
  return new Map(
    calls.map((call) => {
      const { balanceNet, balanceNetThen, resolved } = call;
      if (!resolved || balanceNet === undefined || balanceNetThen === undefined) return [call.call, 'unknown'];
      return [call.call, judge(call, groups.get(balanceNet) ?? [], balanceNetThen - balanceNet)];
    }),
  );
}

/** @param gone what went unexplained; negative where more came. */
function judge(call: UncertainCall, group: readonly UncertainCall[], gone: Nanocredits): Likely {
  if (Math.abs(gone) < call.estimate / 2) return 'not_billed';
  const sum = group.reduce((total, { estimate }) => total + estimate, 0);
  const smallest = Math.min(...group.map(({ estimate }) => estimate));
  return Math.abs(gone - sum) <= smallest / 2 ? 'billed' : 'unknown';
}
