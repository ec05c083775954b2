import { toCredits } from '@renderyard/shared/credits/amount';
import { HOLD_REASONS, holdReason } from '@renderyard/shared/credits/hold';
import type { CreditState } from '@renderyard/shared/credits/ledger-reads';
import { type Static, Type } from 'typebox';

const Time = Type.String({ format: 'date-time' });
const Credits = Type.Number({ description: 'Credits.' });
const OptionalCredits = Type.Union([Credits, Type.Null()]);
const OptionalTime = Type.Union([Time, Type.Null()]);

/** The books of the installation as clients read them; amounts in credits. */
export const CreditsSchema = Type.Object({
  object: Type.Literal('credits'),
  balance: OptionalCredits,
  balance_read_at: OptionalTime,
  reserved: Credits,
  available: OptionalCredits,
  floor: Credits,
  low: Credits,
  resume: Credits,
  spent: Credits,
  in_flight: Type.Integer({ description: 'Calls.' }),
  costs: Type.Array(
    Type.Object({
      model: Type.String(),
      steps: Type.Integer(),
      width: Type.Integer(),
      height: Type.Integer(),
      cost: Credits,
    }),
    { description: 'What an image of a kind is expected to cost, learned from what was charged.' },
  ),
  holds: Type.Array(
    Type.Object({
      reason: Type.Enum([...HOLD_REASONS]),
      model: Type.Union([Type.String(), Type.Null()]),
      since: Time,
      detail: Type.String(),
      until: OptionalTime,
      next_trial_at: OptionalTime,
    }),
  ),
  uncertain: Type.Object(
    {
      count: Type.Integer(),
      credits: Type.Number({ description: 'Set aside for calls that no later balance accounts for yet.' }),
      calls: Type.Array(
        Type.Object({
          id: Type.String(),
          job_id: Type.Union([Type.String(), Type.Null()]),
          started_at: Time,
          found_at: Time,
          how: Type.String(),
          estimate: Credits,
          resolved: Type.Boolean({ description: 'A later balance holds what the call cost.' }),
        }),
        { description: 'The latest 100. `job_id` is null for jobs of other accounts.' },
      ),
    },
    { description: 'Calls whose outcome cannot be known; each counts as spent.' },
  ),
});
export type CreditsView = Static<typeof CreditsSchema>;

/** At most this many uncertain calls are listed, the latest first. */
export const MOST_CALLS = 100;

const time = (ms: number) => new Date(ms).toISOString();
const timeOrNull = (ms: number | undefined) => (ms === undefined ? null : time(ms));

/** @param showJob whether the caller may know of a job. */
export function viewCredits(
  state: CreditState,
  limits: { readonly floor: number; readonly low: number; readonly resume: number },
  showJob: (job: string) => boolean,
): CreditsView {
  const latest = [...state.uncertainCalls].sort((a, b) => b.at - a.at).slice(0, MOST_CALLS);
  return {
    object: 'credits',
    balance: state.balance === undefined ? null : toCredits(state.balance),
    balance_read_at: timeOrNull(state.balanceReadAt),
    reserved: toCredits(state.reserved),
    available:
      state.balance === undefined
        ? null
        : Number((toCredits(state.balance - state.reserved - state.uncertain) - limits.floor).toFixed(9)),
    ...limits,
    spent: toCredits(state.spent),
    in_flight: state.inFlight,
    costs: [...state.estimates].flatMap(([costClass, cost]) => viewCost(costClass, toCredits(cost))),
    holds: state.holds.map((hold) => ({
      reason: holdReason(hold.name),
      model: hold.name.startsWith('model:') ? hold.name.slice('model:'.length) : null,
      since: time(hold.since),
      detail: hold.detail,
      until: timeOrNull(hold.until),
      next_trial_at: timeOrNull(hold.trialAt),
    })),
    uncertain: {
      count: state.uncertainCalls.length,
      credits: toCredits(state.uncertain),
      calls: latest.map((call) => ({
        id: call.call,
        job_id: showJob(call.job) ? call.job : null,
        started_at: time(call.startedAt),
        found_at: time(call.at),
        how: call.how,
        estimate: toCredits(call.estimate),
        resolved: call.resolved,
      })),
    },
  };
}

/** Takes a cost class apart; see `costClass` of the ledger's estimates. */
function viewCost(costClass: string, cost: number): CreditsView['costs'] {
  const match = /^(.+)\|(\d+)\|(\d+)x(\d+)$/.exec(costClass);
  if (match === null) return [];
  const [, model = '', steps, width, height] = match;
  return [{ model, steps: Number(steps), width: Number(width), height: Number(height), cost }];
}
