import { checkInput } from '@renderyard/shared/model/input';
import { DEFAULT_MODEL, findModel, MODELS, type Model } from '@renderyard/shared/model/model';
import { JOB_EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import { Type } from 'typebox';
import { METADATA_DEPTH, MOST_METADATA, readMetadata } from '../body/read-metadata.ts';
import { invalidRequest, type PartProblem, pointer } from '../errors/problem-error.ts';
import { type OwnWebhookChecks, WEBHOOK_DESCRIPTION } from '../webhooks/own-webhook.ts';
import { type JobWebhook, readJobWebhook } from './job-webhook.ts';

/** Seconds: 30 days. */
const LONGEST_EXPIRY = 2_592_000;

/** The body of `POST /v1/jobs`, for the documentation; {@link readJobRequest} checks it, with better words. */
export const JobRequestSchema = Type.Object(
  {
    input: Type.Object(
      { prompt: Type.String() },
      { additionalProperties: true, description: 'The parameters of the model: see GET /v1/models/{slug}.' },
    ),
    model: Type.Optional(Type.String({ default: DEFAULT_MODEL })),
    metadata: Type.Optional(
      Type.Object(
        {},
        {
          additionalProperties: true,
          description: `Your own data, kept and echoed: at most ${MOST_METADATA} bytes of JSON, ${METADATA_DEPTH} levels deep.`,
        },
      ),
    ),
    expires_in: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: LONGEST_EXPIRY,
        description: 'Seconds; a job that has not been rendered by then expires.',
      }),
    ),
    webhook: Type.Optional(Type.String({ format: 'uri', description: WEBHOOK_DESCRIPTION })),
    webhook_events_filter: Type.Optional(
      Type.Array(Type.Enum([...JOB_EVENT_TYPES]), {
        minItems: 1,
        uniqueItems: true,
        description: 'What goes to `webhook`; left out: all of them.',
      }),
    ),
  },
  { additionalProperties: false },
);

export interface JobRequest extends JobWebhook {
  readonly model: Model;
  /** Complete, as it will be sent. */
  readonly input: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly expiresInMs: number | undefined;
}

/**
 * Reads and checks the body of a job.
 * @throws {ProblemError} `invalid_request` with everything that is wrong; `secret_key_missing`.
 */
export async function readJobRequest(body: unknown, webhooks: OwnWebhookChecks): Promise<JobRequest> {
  if (!isObject(body))
    throw invalidRequest([
      {
        pointer: '',
        code: body === undefined ? 'required' : 'wrong_type',
        detail: 'The body must be a JSON object like {"input":{"prompt":"A lighthouse at dawn"}}.',
      },
    ]);
  const problems: PartProblem[] = Object.keys(body)
    .filter((name) => !Object.hasOwn(JobRequestSchema.properties, name))
    .map(unknownField);
  const model = readModel(body.model, problems);
  const input = readInput(body.input, model, problems);
  const metadata = readMetadata(body.metadata, '/metadata', problems);
  const expiresInMs = readExpiry(body.expires_in, problems);
  const { webhook, webhookEvents } = await readJobWebhook(body, problems, webhooks.checkUrl);
  if (problems.length > 0) throw invalidRequest(problems);
  if (webhook !== undefined) webhooks.requireSecret();
  return { model, input, metadata, expiresInMs, webhook, webhookEvents };
}

function readModel(slug: unknown, problems: PartProblem[]): Model {
  const model = findModel(typeof slug === 'string' ? slug : DEFAULT_MODEL);
  if (model !== undefined && (slug === undefined || slug === null || typeof slug === 'string')) return model;
  const known = MODELS.map((each) => each.slug).join(', ');
  problems.push({
    pointer: '/model',
    code: typeof slug === 'string' ? 'unknown_model' : 'wrong_type',
    detail: `model must be one of ${known}, or left out.`,
  });
  return MODELS[0] as Model;
}

function readInput(input: unknown, model: Model, problems: PartProblem[]): Readonly<Record<string, unknown>> {
  if (!isObject(input)) {
    problems.push({
      pointer: '/input',
      code: input === undefined ? 'required' : 'wrong_type',
      detail: 'input must be an object with the parameters of the image, at least {"prompt":"…"}.',
    });
    return {};
  }
  const checked = checkInput(model, input);
  if (checked.ok) return checked.input;
  for (const { parameter, code, detail } of checked.problems)
    problems.push({ pointer: parameter === '' ? '/input' : pointer('/input', parameter), code, detail });
  return {};
}

function readExpiry(seconds: unknown, problems: PartProblem[]): number | undefined {
  if (seconds === undefined || seconds === null) return undefined;
  if (typeof seconds === 'number' && Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST_EXPIRY)
    return seconds * 1000;
  problems.push({
    pointer: '/expires_in',
    code: typeof seconds === 'number' ? 'out_of_range' : 'wrong_type',
    detail: `expires_in must be a whole number of seconds from 1 to ${LONGEST_EXPIRY}.`,
  });
  return undefined;
}

function unknownField(name: string): PartProblem {
  const fields = Object.keys(JobRequestSchema.properties).join(', ');
  const isParameter = MODELS.some((model) => Object.hasOwn(model.parameters.properties, name));
  const hint = isParameter ? `Parameters belong into input: {"input":{"${name}":…}}.` : `The fields are ${fields}.`;
  return {
    pointer: pointer('', name),
    code: 'unknown_field',
    detail: `There is no field ${JSON.stringify(name.slice(0, 80))}. ${hint}`,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
