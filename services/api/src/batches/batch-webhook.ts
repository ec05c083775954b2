import { BATCH_EVENT_TYPES, type EventType, JOB_EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import type { PartProblem } from '../errors/problem-error.ts';
import { readEventsFilter } from '../webhooks/own-webhook.ts';
import { type CheckWebhookUrl, readWebhookUrl } from '../webhooks/webhook-url.ts';
import type { GivenOption } from './option-reader.ts';

/** What a batch can be asked to tell: its own events, and those of its rows. */
export const TOLD_OF_BATCHES: readonly EventType[] = [...BATCH_EVENT_TYPES, ...JOB_EVENT_TYPES];

/** Reads `webhook` of a batch; undefined where it is left out, or wrong. */
export async function readBatchWebhook(
  given: GivenOption | undefined,
  problems: PartProblem[],
  checkUrl: CheckWebhookUrl,
): Promise<string | undefined> {
  return given === undefined ? undefined : readWebhookUrl(given.value, given.at, problems, checkUrl);
}

/** Reads `webhook_events_filter` of a batch: a list in JSON, in a text its types with commas between. */
export function readBatchEvents(
  given: GivenOption | undefined,
  problems: PartProblem[],
): readonly EventType[] | undefined {
  if (given === undefined) return undefined;
  const { value, at, isText } = given;
  const types = isText && typeof value === 'string' ? value.split(',').map((type) => type.trim()) : value;
  return readEventsFilter(types, at, { allowed: TOLD_OF_BATCHES, whose: 'a batch', problems });
}
