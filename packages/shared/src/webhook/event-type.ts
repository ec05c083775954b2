/** What a job's own webhook hears. */
export const JOB_EVENT_TYPES = ['job.succeeded', 'job.failed', 'job.canceled', 'job.expired'] as const;
/** What a batch's own webhook hears, where it does not say otherwise. */
export const BATCH_EVENT_TYPES = ['batch.progress', 'batch.paused', 'batch.completed', 'batch.canceled'] as const;
/** The events that an endpoint can ask for: a closed list, documented in docs/webhooks.md. */
export const EVENT_TYPES = [
  ...JOB_EVENT_TYPES,
  ...BATCH_EVENT_TYPES,
  'credits.low',
  'credits.held',
  'credits.resumed',
  'endpoint.disabled',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];
/** What is sent: besides the events, what somebody has sent to try an endpoint. */
export type DeliveredType = EventType | 'webhook.test';

/** Which types somebody hears, as Redis keeps it for tell.lua: `*` for all, else the types with a space around each. */
export function eventsField(types: readonly EventType[] | null): string {
  return types === null ? '*' : ` ${types.join(' ')} `;
}

/** The types that a field of {@link eventsField} names; null for all. */
export function parseEventsField(field: string): readonly EventType[] | null {
  return field === '*' ? null : (field.trim().split(' ').filter(Boolean) as EventType[]);
}
