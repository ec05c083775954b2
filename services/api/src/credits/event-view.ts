import { toCredits } from '@renderyard/shared/credits/amount';
import type { CreditDecision } from '@renderyard/shared/credits/credit-decision';
import type { CreditEvent } from '@renderyard/shared/credits/credit-state';
import { type Static, Type } from 'typebox';
import { ChangesSchema } from '../audit-schema.ts';

const Time = Type.String({ format: 'date-time' });
const State = Type.Enum(['open', 'low', 'draining', 'held']);
const OptionalCredits = Type.Union([Type.Number(), Type.Null()]);

/** A change of the state of credits. */
export const CreditEventSchema = Type.Object({
  object: Type.Literal('credit_event'),
  id: Type.String({ pattern: '^evt_' }),
  type: Type.Union([Type.Enum(['credits.low', 'credits.held', 'credits.resumed']), Type.Null()], {
    description: 'Null for changes that are worth no notice.',
  }),
  from: State,
  to: State,
  cause: Type.String(),
  at: Time,
  balance: OptionalCredits,
  floor: OptionalCredits,
});
export type CreditEventView = Static<typeof CreditEventSchema>;

/** A decision by hand about the credits. */
export const CreditChangeSchema = Type.Object({
  object: Type.Literal('credit_change'),
  seq: Type.Integer(),
  at: Time,
  by: Type.String({ description: 'The account.' }),
  action: Type.Enum(['set', 'hold', 'resume']),
  changes: ChangesSchema,
});
export type CreditChangeView = Static<typeof CreditChangeSchema>;

const creditsOrNull = (amount: number | undefined) => (amount === undefined ? null : toCredits(amount));

export function viewEvent({ id, type, from, to, cause, at, balance, floor }: CreditEvent): CreditEventView {
  return {
    object: 'credit_event',
    ...{ id, type: type ?? null, from, to, cause, at: new Date(at).toISOString() },
    ...{ balance: creditsOrNull(balance), floor: creditsOrNull(floor) },
  };
}

export function viewChange({ seq, at, by, action, changes }: CreditDecision): CreditChangeView {
  return {
    object: 'credit_change',
    ...{ seq, at: new Date(at).toISOString(), by, action, changes: changes.map((change) => ({ ...change })) },
  };
}
