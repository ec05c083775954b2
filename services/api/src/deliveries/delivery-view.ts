import {
  ATTEMPT_ERRORS,
  type AttemptRecord,
  DELIVERY_STATUSES,
  type Delivery,
} from '@renderyard/shared/webhook/delivery';
import { EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import { type Static, type TSchema, Type } from 'typebox';

const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC.' });

/** What a delivery can tell of: the events, and what somebody had sent to try an endpoint. */
export const DELIVERED_TYPES = [...EVENT_TYPES, 'webhook.test'] as const;

/** A delivery as clients read it. */
export const DeliverySchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('delivery'),
  status: Type.Enum([...DELIVERY_STATUSES]),
  sending: Type.Boolean({ description: 'An attempt is on its way right now.' }),
  event: Type.Object({ id: Type.String(), type: Type.Enum([...DELIVERED_TYPES]), timestamp: Time }),
  webhook_id: nullable(Type.String({ description: 'Null for the own webhook of a job or a batch.' })),
  url: nullable(
    Type.String({ description: 'Where the next attempt goes, or would go; null if the webhook was deleted.' }),
  ),
  job_id: nullable(Type.String()),
  batch_id: nullable(Type.String()),
  attempts: Type.Array(
    Type.Object({
      at: Time,
      duration_ms: Type.Integer(),
      status: nullable(Type.Integer({ description: 'Of the answer; null where none came.' })),
      error: nullable(Type.Enum([...ATTEMPT_ERRORS], { description: 'Why no answer came.' })),
      answer: nullable(Type.String({ description: 'How the answer began.' })),
    }),
    { description: 'The latest 20, the oldest first.' },
  ),
  attempt_count: Type.Integer({ description: 'Attempts since it was made or replayed.' }),
  next_attempt_at: nullable(Time),
  created_at: Time,
  body: Type.Optional(
    Type.String({ description: 'What is sent, byte for byte; only where one delivery is read by its id.' }),
  ),
  urls: Type.Object({ self: Type.String(), replay: Type.String() }),
});
export type DeliveryView = Static<typeof DeliverySchema>;

/** Whether an attempt is on its way: it waits for no other, and none was the last. */
export function isSending({ status, nextAt }: Pick<Delivery, 'status' | 'nextAt'>): boolean {
  return status === 'pending' && nextAt === undefined;
}

/** A delivery without its body. @param url where it goes; undefined if its webhook was deleted. */
export function viewDelivery(delivery: Delivery, url: string | undefined, publicUrl: string): DeliveryView {
  const { id, status, nextAt } = delivery;
  const self = `${publicUrl}/v1/deliveries/${id}`;
  return {
    id,
    object: 'delivery',
    status,
    sending: isSending(delivery),
    event: { id: delivery.event, type: delivery.type, timestamp: time(delivery.at) },
    webhook_id: delivery.receiver.startsWith('whk_') ? delivery.receiver : null,
    url: withoutUserinfo(url),
    job_id: delivery.jobId ?? null,
    batch_id: delivery.batchId ?? null,
    attempts: delivery.attempts.map(viewAttempt),
    attempt_count: delivery.tries,
    next_attempt_at: status === 'pending' && nextAt !== undefined ? time(nextAt) : null,
    created_at: time(delivery.createdAt),
    urls: { self, replay: `${self}/replay` },
  };
}

function viewAttempt({ at, ms, status, error, answer }: AttemptRecord): DeliveryView['attempts'][number] {
  return {
    at: time(at),
    duration_ms: Math.round(ms),
    status: status ?? null,
    error: error ?? null,
    answer: answer ?? null,
  };
}

/** None is accepted with a user or a password; what came about otherwise is not told either. */
function withoutUserinfo(url: string | undefined): string | null {
  const parsed = url === undefined ? null : URL.parse(url);
  if (parsed === null) return null;
  parsed.username = '';
  parsed.password = '';
  return parsed.href;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
