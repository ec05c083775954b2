import type { Endpoint } from '@renderyard/shared/webhook/endpoint';
import { EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import { Type } from 'typebox';
import { invalidRequest, type PartProblem, pointer } from '../errors/problem-error.ts';
import { readEventTypes } from './read-event-types.ts';
import { readDescription, readFields, readOverlap, readRecovery, readSecret, readState } from './webhook-fields.ts';
import { type CheckWebhookUrl, readWebhookUrl } from './webhook-url.ts';

export type NewEndpoint = Pick<Endpoint, 'url' | 'events' | 'description'>;
/** What is left out stays. */
export type EndpointPatch = Partial<NewEndpoint & Pick<Endpoint, 'state'>>;
/** From when on what was missed is told after all: a time in milliseconds since 1970, or what the record says. */
export type RecoverFrom = number | 'missed';

const Url = Type.String({ format: 'uri', description: 'Where events are sent: https or http.' });
const Events = Type.Union([Type.Array(Type.Enum([...EVENT_TYPES]), { minItems: 1, uniqueItems: true }), Type.Null()], {
  description: 'What it hears; null: everything.',
});
const Description = Type.Union([Type.String({ maxLength: 500 }), Type.Null()], { description: 'For people.' });
const Secret = Type.String({
  description: 'whsec_ and 24 to 64 bytes in base64, to bring one along; left out, one is made.',
});

/** The bodies, for the documentation; they are checked by the functions below, with better words. */
export const NewWebhookSchema = Type.Object(
  {
    url: Url,
    events: Type.Optional(Events),
    description: Type.Optional(Description),
    secret: Type.Optional(Secret),
  },
  { additionalProperties: false },
);
export const WebhookPatchSchema = Type.Object(
  {
    url: Type.Optional(Url),
    events: Type.Optional(Events),
    description: Type.Optional(Description),
    state: Type.Optional(Type.Enum(['enabled', 'disabled'])),
    recover: Type.Optional(Type.Boolean({ description: 'With `enabled`: what was missed is sent after all.' })),
    recover_since: Type.Optional(
      Type.String({ format: 'date-time', description: 'The same from a time on, at most 30 days ago.' }),
    ),
  },
  { additionalProperties: false },
);
export const RotationSchema = Type.Object(
  {
    secret: Type.Optional(Secret),
    overlap_hours: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 168, default: 24, description: 'For so long the old secrets sign as well.' }),
    ),
  },
  { additionalProperties: false },
);

/** @throws {ProblemError} `invalid_request` with everything that is wrong. */
export async function readNewWebhook(
  body: unknown,
  checkUrl: CheckWebhookUrl,
): Promise<{ readonly endpoint: NewEndpoint; readonly secret: string | undefined }> {
  const problems: PartProblem[] = [];
  const fields = readFields(body, Object.keys(NewWebhookSchema.properties), 'at least {"url":"https://…"}', problems);
  const url = await readUrl(fields.url, checkUrl, problems);
  const events = readEventTypes(fields.events, '/events', EVENT_TYPES, problems);
  const description = readDescription(fields.description, problems);
  const secret = readSecret(fields.secret, problems);
  if (url === undefined || problems.length > 0) throw invalidRequest(problems);
  return { endpoint: { url, events, description }, secret };
}

/**
 * @param now milliseconds since 1970.
 * @throws {ProblemError} `invalid_request` with everything that is wrong.
 */
export async function readWebhookPatch(
  body: unknown,
  checkUrl: CheckWebhookUrl,
  now: number,
): Promise<{ readonly patch: EndpointPatch; readonly recoverFrom: RecoverFrom | undefined }> {
  const problems: PartProblem[] = [];
  const known = Object.keys(WebhookPatchSchema.properties);
  const fields = readFields(body, known, `what is to change: ${known.join(', ')}`, problems);
  const url = 'url' in fields ? await readUrl(fields.url, checkUrl, problems) : undefined;
  const state = readState(fields.state, problems);
  const patch: EndpointPatch = {
    ...(url === undefined ? {} : { url }),
    ...('events' in fields ? { events: readEventTypes(fields.events, '/events', EVENT_TYPES, problems) } : {}),
    ...('description' in fields ? { description: readDescription(fields.description, problems) } : {}),
    ...(state === undefined ? {} : { state }),
  };
  const recoverFrom = readRecovery(fields, now, problems);
  if (problems.length > 0) throw invalidRequest(problems);
  return { patch, recoverFrom };
}

/** @throws {ProblemError} `invalid_request` with everything that is wrong. */
export function readRotation(body: unknown): { readonly secret: string | undefined; readonly overlapHours: number } {
  const problems: PartProblem[] = [];
  const known = Object.keys(RotationSchema.properties);
  const fields = readFields(body ?? {}, known, `any of ${known.join(', ')}, or left out`, problems);
  const secret = readSecret(fields.secret, problems);
  const overlapHours = readOverlap(fields.overlap_hours, problems);
  if (problems.length > 0) throw invalidRequest(problems);
  return { secret, overlapHours };
}

async function readUrl(
  value: unknown,
  checkUrl: CheckWebhookUrl,
  problems: PartProblem[],
): Promise<string | undefined> {
  if (value !== undefined && value !== null) return readWebhookUrl(value, pointer('', 'url'), problems, checkUrl);
  const detail = 'url is where events are sent, such as https://example.com/hooks/renderyard. It cannot be left out.';
  problems.push({ pointer: '/url', code: 'required', detail });
  return undefined;
}
