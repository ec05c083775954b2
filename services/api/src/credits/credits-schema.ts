import { HOLD_REASONS } from '@renderyard/shared/credits/hold';
import { type Static, Type } from 'typebox';

const Time = Type.String({ format: 'date-time' });
const Credits = Type.Number({ description: 'Credits.' });
const OptionalCredits = Type.Union([Credits, Type.Null()]);
const OptionalTime = Type.Union([Time, Type.Null()]);

const LimitSchema = Type.Object({
  value: Type.Number({ description: 'What holds.' }),
  setting: Type.Number({ description: 'What the setting of the workers says.' }),
  by_hand: Type.Boolean({ description: 'It was set by hand, and holds until the setting is another.' }),
});

const KeySpanSchema = Type.Object({
  spent: Credits,
  budget: OptionalCredits,
  left: Type.Union([Type.Number(), Type.Null()], {
    description: 'Of the budget, less what is spent and reserved; null without one.',
  }),
});

const KeySchema = Type.Object({
  name: Type.String(),
  day: KeySpanSchema,
  total: KeySpanSchema,
  reserved: Type.Number({ description: 'Set aside for its calls in flight.' }),
  held: Type.Boolean({ description: 'Its budget is used up: its jobs wait.' }),
});

const ComparisonSchema = Type.Object(
  {
    from: Time,
    at: Time,
    before: Credits,
    spent: Credits,
    read: Credits,
    difference: Type.Number({
      description: '`before` less `spent` less `read`: what went without our knowing; below 0 what was added.',
    }),
  },
  { description: 'The balance from one reading with nothing in flight to the next, beside our books.' },
);

const UncertainCallSchema = Type.Object({
  id: Type.String(),
  job_id: Type.Union([Type.String(), Type.Null()]),
  model: Type.Union([Type.String(), Type.Null()]),
  started_at: Time,
  found_at: Time,
  how: Type.String(),
  billable_until: Type.String({ format: 'date-time', description: 'Until then it could be billed.' }),
  estimate: Credits,
  resolved: Type.Boolean({ description: 'A later balance holds what the call cost.' }),
  balance_since: Type.Union([
    Type.Object({
      unexplained: Type.Number({
        description:
          'What went from the balance until it could be billed no more, beyond what is known to be spent; below 0 where more was added.',
      }),
      read_at: Type.Union([Time, Type.Null()], {
        description: 'When the balance was read last with nothing in flight.',
      }),
    }),
    Type.Null(),
  ]),
  likely: Type.Enum(['billed', 'not_billed', 'unknown'], { description: 'What that suggests; it settles nothing.' }),
});

/** The books of the installation as clients read them; amounts in credits. */
export const CreditsSchema = Type.Object({
  object: Type.Literal('credits'),
  state: Type.Enum(['open', 'low', 'draining', 'held']),
  state_since: OptionalTime,
  balance: OptionalCredits,
  balance_read_at: OptionalTime,
  reserved: Credits,
  available: OptionalCredits,
  floor: Credits,
  low: Credits,
  resume: Credits,
  limits: Type.Object({ floor: LimitSchema, low: LimitSchema, resume: LimitSchema }),
  spent: Credits,
  spend: Type.Object({
    hour: Type.Number({ description: 'Since the hour began (UTC).' }),
    day: Type.Number({ description: 'Since the day began (UTC).' }),
  }),
  burn_rate: Type.Number({ description: 'Credits an hour, over the last hour.' }),
  runway_seconds: Type.Union([Type.Integer(), Type.Null()], {
    description: 'For so long what is available lasts at that rate; null where nothing is spent.',
  }),
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
  keys: Type.Array(KeySchema, { description: 'The API keys; days are those of UTC.' }),
  holds: Type.Array(
    Type.Object({
      reason: Type.Enum([...HOLD_REASONS]),
      model: Type.Union([Type.String(), Type.Null()]),
      key: Type.Union([Type.String(), Type.Null()]),
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
      calls: Type.Array(UncertainCallSchema, {
        description: 'The latest 100. `job_id` is null for jobs of other accounts.',
      }),
    },
    { description: 'Calls whose outcome cannot be known; each counts as spent.' },
  ),
  reconciliation: Type.Object({
    last: Type.Union([ComparisonSchema, Type.Null()]),
    differences: Type.Array(ComparisonSchema, { description: 'The latest 100 that found one, the newest first.' }),
    unexplained: Type.Number({ description: 'All that went without our knowing.' }),
    added: Type.Number({ description: 'All that was added.' }),
  }),
});
export type CreditsView = Static<typeof CreditsSchema>;
