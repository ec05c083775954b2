import { type Static, type TSchema, Type } from 'typebox';
import { HOLD_REASONS } from '../credits/hold.ts';
import { EVENT_TYPES } from '../webhook/event-type.ts';
import { BATCH_HOLD_REASONS, BATCH_STATUSES } from './batch.ts';

const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC.' });
const Rows = Type.Integer({ description: 'Rows.' });
const Credits = Type.Number({ description: 'Credits.' });
const Anything = Type.Object({}, { additionalProperties: true });

const ProblemOfRow = Type.Object({
  line: Type.Integer({ description: 'Of the upload, from 1; of a JSON array the number of the item.' }),
  column: nullable(Type.String()),
  code: Type.String(),
  value: nullable(Type.String()),
  detail: Type.String({ description: 'What is wrong, and what would be right.' }),
});

/** What an upload was found to hold. */
const ReportSchema = Type.Object({
  rejected: Type.Object({
    count: Rows,
    errors: Type.Array(ProblemOfRow, { description: 'At most 100; rejected.csv has them all.' }),
  }),
  warnings: Type.Array(ProblemOfRow),
});

const EstimateSchema = Type.Object(
  {
    cost: Credits,
    seconds: Type.Integer({ description: 'If nothing else runs.' }),
    fits: nullable(
      Type.Boolean({
        description: 'In the balance above the floor and in every budget; null while that is not known.',
      }),
    ),
    balance: nullable(Type.Number({ description: 'Credits above the floor that no call in flight lays claim to.' })),
    left: nullable(Type.Number({ description: 'Of that, once the batch has ended; negative for what is missing.' })),
    budget_left: nullable(Type.Number({ description: 'The same of the budget; null without one.' })),
    key_day_left: nullable(
      Type.Number({ description: "The same of the API key's budget for today, in UTC; null without one." }),
    ),
    key_total_left: nullable(Type.Number({ description: "The same of the API key's whole budget." })),
  },
  { description: 'Of the rows that have not ended.' },
);

const shared = {
  name: nullable(Type.String()),
  model: Type.String(),
  hold: nullable(
    Type.Object(
      { reason: Type.Enum([...BATCH_HOLD_REASONS, ...HOLD_REASONS]), since: Time, detail: Type.String() },
      { description: 'Why its rows wait, other than for their turn.' },
    ),
  ),
  counts: Type.Object({
    total: Type.Integer({ description: 'Accepted rows: one image each.' }),
    rejected: Rows,
    queued: Rows,
    processing: Rows,
    succeeded: Rows,
    failed: Rows,
    canceled: Rows,
    expired: Type.Integer({ description: 'Always 0: rows do not expire.' }),
  }),
  budget: nullable(Credits),
  estimate: EstimateSchema,
  eta: nullable(Time),
  limited_by: nullable(Type.Enum(['rate', 'concurrency', 'hold'], { description: 'What keeps it from going faster.' })),
  limited_by_detail: nullable(Type.String()),
  report: ReportSchema,
  options: Type.Object({}, { additionalProperties: true, description: 'How the upload was told to be read.' }),
  metadata: Anything,
  webhook: nullable(Type.String({ description: 'Who is told of it, besides the endpoints of the account.' })),
  webhook_events_filter: nullable(
    Type.Array(Type.Enum([...EVENT_TYPES]), {
      description: 'What goes there; of its rows, what the endpoints of the account are told as well.',
    }),
  ),
  columns: Type.Array(Type.String(), { description: "The upload's own." }),
  source: Type.Object(
    { format: Type.Enum(['csv', 'ndjson', 'json']), bytes: Type.Integer(), sha256: Type.String() },
    { additionalProperties: true, description: 'The file as it came, uncompressed.' },
  ),
};

/** A batch as clients read it. */
export const BatchSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('batch'),
  status: Type.Enum([...BATCH_STATUSES]),
  ...shared,
  cost: Type.Number({ description: 'Credits so far, calls of unknown outcome included.' }),
  rate: Type.Number({ description: 'Rows a minute, over the latest that ended; of an ended batch over all of it.' }),
  uncertain: Type.Integer({ description: 'Calls whose outcome is unknown; each counts as spent.' }),
  runs: Type.Integer({ description: 'How often its failed rows were retried.' }),
  created_at: Time,
  started_at: nullable(Time),
  ended_at: nullable(Time),
  urls: Type.Object({
    self: Type.String(),
    rows: Type.String(),
    results_csv: Type.String(),
    results_ndjson: Type.String(),
    rejected_csv: Type.String(),
    images_zip: Type.String(),
    pause: Type.String(),
    resume: Type.String(),
    cancel: Type.String(),
    retry: Type.String(),
  }),
});
export type BatchView = Static<typeof BatchSchema>;

/** What an upload would make: the answer to a dry run. */
export const DryRunSchema = Type.Object({
  object: Type.Literal('batch_dry_run'),
  dry_run: Type.Literal(true),
  accepted: Type.Boolean({ description: 'Whether the same upload makes a batch without dry_run.' }),
  ...shared,
  images: Rows,
  preview: Type.Array(
    Type.Object({
      row: Type.Integer(),
      line: Type.Integer(),
      id: nullable(Type.String()),
      key: Type.String({ description: 'The name of the image, less its extension.' }),
      input: Anything,
    }),
    { description: 'The first rows as they would be sent.' },
  ),
});
export type DryRunView = Static<typeof DryRunSchema>;
