import { DISABLED_REASONS } from '@renderyard/shared/webhook/endpoint';
import { EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import { type Static, type TSchema, Type } from 'typebox';
import { validSecrets } from './endpoint-changes.ts';
import type { FoundEndpoint } from './read-endpoints.ts';

const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const Time = Type.String({ format: 'date-time' });
const TimeOrNull = (description: string) =>
  Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description });

/** An endpoint as its owner reads it. */
export const WebhookSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('webhook'),
  url: Type.String(),
  events: Type.Union([Type.Array(Type.Enum([...EVENT_TYPES])), Type.Null()], {
    description: 'What it hears; null: everything.',
  }),
  description: nullable(Type.String()),
  state: Type.Enum(['enabled', 'disabled']),
  disabled: nullable(Type.Object({ reason: Type.Enum([...DISABLED_REASONS]), since: Time })),
  failing_since: TimeOrNull('Every attempt has failed since.'),
  missed_since: TimeOrNull('What happened since was not all kept for it; it can be recovered.'),
  last_success_at: nullable(Time),
  last_failure_at: nullable(Time),
  waiting: Type.Integer({ description: 'Deliveries that wait for it.' }),
  secrets: Type.Array(
    Type.Object({ created_at: Time, expires_at: TimeOrNull('Until then it signs as well; null for the newest.') }),
    { description: 'Those that sign, the newest first.' },
  ),
  created_at: Time,
  urls: Type.Object({ self: Type.String(), secret: Type.String(), deliveries: Type.String() }),
});
export type WebhookView = Static<typeof WebhookSchema>;

/** The same where its secret was just made. */
export const WebhookWithSecretSchema = Type.Object({ ...WebhookSchema.properties, secret: Type.String() });

export const SecretSchema = Type.Object({ object: Type.Literal('webhook_secret'), secret: Type.String() });

const time = (ms: number) => new Date(ms).toISOString();
const timeOrNull = (ms: number | null | undefined) => (ms === null || ms === undefined ? null : time(ms));

/** @param now milliseconds since 1970. */
export function viewWebhook(
  { endpoint, receiver }: FoundEndpoint,
  { publicUrl, now }: { readonly publicUrl: string; readonly now: number },
): WebhookView {
  const { id, url, events, description, state, disabled } = endpoint;
  const self = `${publicUrl}/v1/webhooks/${id}`;
  return {
    id,
    object: 'webhook',
    url,
    events: events === null ? null : [...events],
    description,
    state,
    disabled: disabled === null ? null : { reason: disabled.reason, since: time(disabled.since) },
    failing_since: timeOrNull(receiver.failingSince),
    missed_since: timeOrNull(receiver.missedSince),
    last_success_at: timeOrNull(receiver.lastSuccessAt),
    last_failure_at: timeOrNull(receiver.lastFailureAt),
    waiting: receiver.waiting,
    secrets: validSecrets(endpoint, now).map((secret) => ({
      created_at: time(secret.created_at),
      expires_at: timeOrNull(secret.expires_at),
    })),
    created_at: time(endpoint.created_at),
    urls: { self, secret: `${self}/secret`, deliveries: `${publicUrl}/v1/deliveries?webhook_id=${id}` },
  };
}
