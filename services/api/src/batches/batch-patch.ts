import { Type } from 'typebox';
import { MOST_CREDITS } from '../body/read-credits-amount.ts';
import { readMetadata } from '../body/read-metadata.ts';
import { invalidRequest, type PartProblem } from '../errors/problem-error.ts';
import { type OwnWebhookChecks, WEBHOOK_DESCRIPTION } from '../webhooks/own-webhook.ts';
import type { Patch } from './batch-changes.ts';
import { readBatchEvents, readBatchWebhook, TOLD_OF_BATCHES } from './batch-webhook.ts';
import { collectOptions } from './option-reader.ts';
import { readBudget, readName, readObject } from './option-values.ts';

/** The body of a PATCH, for the documentation; {@link readPatch} checks it, with better words. */
export const PatchSchema = Type.Object(
  {
    name: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    budget: Type.Optional(
      Type.Union([Type.Number({ exclusiveMinimum: 0, maximum: MOST_CREDITS }), Type.Null()], {
        description: 'Credits for the whole batch, with at most 9 decimals; null for no limit.',
      }),
    ),
    metadata: Type.Optional(
      Type.Object({}, { additionalProperties: true, description: 'Takes the place of the old.' }),
    ),
    webhook: Type.Optional(
      Type.Union([Type.String({ format: 'uri' }), Type.Null()], { description: WEBHOOK_DESCRIPTION }),
    ),
    webhook_events_filter: Type.Optional(
      Type.Union([Type.Array(Type.Enum([...TOLD_OF_BATCHES]), { minItems: 1, uniqueItems: true }), Type.Null()], {
        description: 'Which events are told, those of its rows too; null for its own, to its `webhook`.',
      }),
    ),
  },
  { additionalProperties: false },
);
const FIELDS = Object.keys(PatchSchema.properties);

/** @throws {ProblemError} `invalid_request` with everything that is wrong; `secret_key_missing`. */
export async function readPatch(body: unknown, webhooks: OwnWebhookChecks): Promise<Patch> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalidRequest([
      {
        pointer: '',
        code: body === undefined ? 'required' : 'wrong_type',
        detail: `The body must be a JSON object with what is to change: ${FIELDS.join(', ')}.`,
      },
    ]);
  const problems: PartProblem[] = [];
  const given = collectOptions([{ kind: 'json', values: body as Record<string, unknown> }], {
    known: FIELDS,
    flags: [],
    problems,
  });
  const metadata = given.get('metadata');
  const webhook = await readBatchWebhook(given.get('webhook'), problems, webhooks.checkUrl);
  const events = readBatchEvents(given.get('webhook_events_filter'), problems);
  const values: Patch = {
    ...('name' in body ? { name: readName(given.get('name'), problems) ?? null } : {}),
    ...('budget' in body ? { budget: readBudget(given.get('budget'), problems) ?? null } : {}),
    ...('metadata' in body ? { metadata: readMetadata(readObject(metadata, problems), '/metadata', problems) } : {}),
    ...('webhook' in body ? { webhook: webhook ?? null } : {}),
    ...('webhook_events_filter' in body ? { webhook_events: events ?? null } : {}),
  };
  if (problems.length > 0) throw invalidRequest(problems);
  if (webhook !== undefined) webhooks.requireSecret();
  return values;
}
