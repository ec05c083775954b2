import type { Nanocredits } from '@renderyard/shared/credits/amount';
import type { EventType } from '@renderyard/shared/webhook/event-type';
import { Type } from 'typebox';
import { MOST_CREDITS } from '../body/read-credits-amount.ts';
import { readMetadata } from '../body/read-metadata.ts';
import { invalidRequest, type PartProblem } from '../errors/problem-error.ts';
import { type OwnWebhookChecks, WEBHOOK_DESCRIPTION } from '../webhooks/own-webhook.ts';
import { readBatchEvents, readBatchWebhook, TOLD_OF_BATCHES } from './batch-webhook.ts';
import { collectOptions, type OptionSource } from './option-reader.ts';
import {
  readBudget,
  readColumns,
  readDefaults,
  readFlag,
  readModel,
  readName,
  readObject,
  readTemplate,
  readWord,
} from './option-values.ts';
import type { ReadOptions } from './rows/read.ts';

/** Characters. */
const LONGEST_PROMPT_TEMPLATE = 20_000;
const LONGEST_KEY_TEMPLATE = 1000;

/** The options as a query has them, for the documentation; {@link readBatchOptions} checks them, with better words. */
export const BatchQuerySchema = Type.Object({
  name: Type.Optional(Type.String({ description: 'For people.' })),
  budget: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: MOST_CREDITS,
      description: 'Credits; the batch pauses before it spends more.',
    }),
  ),
  on_invalid: Type.Optional(
    Type.Enum(['skip', 'reject'], { description: '`reject`: one bad row, and nothing is made. Left out: `skip`.' }),
  ),
  dry_run: Type.Optional(Type.Boolean({ description: 'Everything is checked and reported, and nothing is made.' })),
  defaults: Type.Optional(Type.String({ description: 'JSON: parameters for rows that leave them blank.' })),
  prompt_template: Type.Optional(Type.String({ description: 'Such as `A {{animal}} in {{style}}`.' })),
  key_template: Type.Optional(Type.String({ description: 'The name of each image, such as `{{id}}-{{seed}}`.' })),
  columns: Type.Optional(Type.String({ description: 'Parameter:column, such as `prompt:text,seed:number`.' })),
  metadata: Type.Optional(Type.String({ description: 'JSON: your own data, kept and echoed.' })),
  model: Type.Optional(Type.String({ description: 'Left out: the default one.' })),
  webhook: Type.Optional(Type.String({ description: WEBHOOK_DESCRIPTION })),
  webhook_events_filter: Type.Optional(
    Type.String({
      description: `Which events are told, with commas between, those of its rows too: ${TOLD_OF_BATCHES.join(', ')}.`,
    }),
  ),
});
const Rows = Type.String({ description: 'The rows; docs/csv.md has the format.' });
/** The bodies of an upload, for the documentation. */
export const BatchBodySchema = {
  content: {
    'text/csv': { schema: Rows },
    'text/tab-separated-values': { schema: Rows },
    'application/x-ndjson': { schema: Rows },
    'application/json': {
      schema: Type.Union([
        Type.Array(Type.Object({}, { additionalProperties: true })),
        Type.Object(
          { items: Type.Array(Type.Object({}, { additionalProperties: true })), ...BatchQuerySchema.properties },
          {
            description:
              'Options beside `items`; defaults, columns and metadata are objects here, webhook_events_filter is a list.',
          },
        ),
      ]),
    },
    'multipart/form-data': {
      schema: Type.Object({ file: Type.String({ format: 'binary' }), ...BatchQuerySchema.properties }),
    },
  },
};
const OPTIONS = Object.keys(BatchQuerySchema.properties);

/** What is asked for with an upload, besides its rows. */
export interface BatchRequest {
  readonly name: string | null;
  readonly budget: Nanocredits | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly dryRun: boolean;
  readonly webhook: string | undefined;
  /** The events of a batch if left out, where there is a `webhook`. */
  readonly webhookEvents: readonly EventType[] | undefined;
  readonly read: ReadOptions;
}

/**
 * Reads the options of a batch, from wherever they were given.
 * @throws {ProblemError} `invalid_request` with everything that is wrong; `secret_key_missing`.
 */
export async function readBatchOptions(
  sources: readonly OptionSource[],
  webhooks: OwnWebhookChecks,
): Promise<BatchRequest> {
  const problems: PartProblem[] = [];
  const given = collectOptions(sources, { known: OPTIONS, flags: ['dry_run'], problems });
  const model = readModel(given.get('model'), problems);
  const metadata = given.get('metadata');
  const optional = {
    defaults: readDefaults(given.get('defaults'), model, problems),
    prompt_template: readTemplate(given.get('prompt_template'), LONGEST_PROMPT_TEMPLATE, problems),
    key_template: readTemplate(given.get('key_template'), LONGEST_KEY_TEMPLATE, problems),
    columns: readColumns(given.get('columns'), model, problems),
  };
  const request: BatchRequest = {
    name: readName(given.get('name'), problems) ?? null,
    budget: readBudget(given.get('budget'), problems) ?? null,
    metadata: readMetadata(readObject(metadata, problems), metadata?.at ?? '/metadata', problems),
    dryRun: readFlag(given.get('dry_run'), problems) ?? false,
    webhook: await readBatchWebhook(given.get('webhook'), problems, webhooks.checkUrl),
    webhookEvents: readBatchEvents(given.get('webhook_events_filter'), problems),
    read: {
      model: model.slug,
      on_invalid: readWord(given.get('on_invalid'), ['skip', 'reject'], problems) ?? 'skip',
      ...(Object.fromEntries(
        Object.entries(optional).filter(([, value]) => value !== undefined),
      ) as Partial<ReadOptions>),
    },
  };
  if (problems.length > 0) throw invalidRequest(problems);
  if (request.webhook !== undefined) webhooks.requireSecret();
  return request;
}
