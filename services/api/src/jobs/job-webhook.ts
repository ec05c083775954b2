import { type EventType, JOB_EVENT_TYPES } from '@renderyard/shared/webhook/event-type';
import type { PartProblem } from '../errors/problem-error.ts';
import { readEventsFilter } from '../webhooks/own-webhook.ts';
import { type CheckWebhookUrl, readWebhookUrl } from '../webhooks/webhook-url.ts';

/** Who is told of a job besides the account's endpoints, and of which of its events: of all if left out. */
export interface JobWebhook {
  readonly webhook: string | undefined;
  readonly webhookEvents: readonly EventType[] | undefined;
}

/** Reads `webhook` and `webhook_events_filter` of a job; what is wrong is added to `problems`. */
export async function readJobWebhook(
  { webhook: url, webhook_events_filter: filter }: Readonly<Record<string, unknown>>,
  problems: PartProblem[],
  checkUrl: CheckWebhookUrl,
): Promise<JobWebhook> {
  const webhook = await readWebhookUrl(url, '/webhook', problems, checkUrl);
  const webhookEvents = readEventsFilter(filter, '/webhook_events_filter', {
    allowed: JOB_EVENT_TYPES,
    whose: 'a job',
    problems,
  });
  const isGiven = (value: unknown) => value !== undefined && value !== null;
  if (isGiven(filter) && !isGiven(url))
    problems.push({
      pointer: '/webhook',
      code: 'required',
      detail:
        'webhook_events_filter says which events go to webhook, which is missing. Give both, or leave it out: the endpoints of the account have lists of their own.',
    });
  return { webhook, webhookEvents };
}
